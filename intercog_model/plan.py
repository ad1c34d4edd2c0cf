"""`python -m intercog_model.plan --config FILE … --gpus 8`: memory, time and size of a run before anybody starts it."""

import argparse
import sys
import time

from intercog_model.errors import ConfigurationError
from intercog_model.training.config_files import add_config_option, load_config
from intercog_model.training.devices import GPUS
from intercog_model.training.plan_report import Assumed, plan_run, report


def main(arguments: list[str] | None = None) -> int:
    """0 when the run fits on all numbers of GPUs asked for, 1 when it does not, 2 for a wrong configuration."""
    parser = argparse.ArgumentParser(prog="python -m intercog_model.plan", description=__doc__)
    add_config_option(parser)
    parser.add_argument(
        "--gpus", type=int, nargs="+", default=[8], help="how many; several give a column each"
    )
    parser.add_argument("--gpu", choices=GPUS, default="h100", help="their kind (h100)")
    parser.add_argument(
        "--mfu", type=float, help="measured share of the peak that training reaches; else one is assumed"
    )
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        config = load_config(options.config)
        assumed = Assumed.of(options.mfu, config.run.activation_checkpointing)
        plans = [plan_run(config, gpus, GPUS[options.gpu], assumed) for gpus in options.gpus]
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report(plans))
    print(f"\nplanned in {time.monotonic() - started:.0f} s")
    return 0 if all(plan.fits for plan in plans) else 1


if __name__ == "__main__":
    sys.exit(main())
