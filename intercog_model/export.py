"""`python -m intercog_model.export RUN [--step N]`: a model folder of a checkpoint, in BAGEL's layout."""

import argparse
import sys
import warnings
from pathlib import Path

from intercog_model.errors import ConfigurationError
from intercog_model.training.export_run import export_run


def main(arguments: list[str] | None = None) -> int:
    """0 when the folder is written, 1 where a disk or store fails, 2 for a run or option that no folder can be made of.

    It needs no GPU and joins no other process; host memory holds one tensor at a time.
    """
    parser = argparse.ArgumentParser(prog="python -m intercog_model.export", description=__doc__)
    parser.add_argument(
        "run", help="a run's folder (run.out), or the address of its checkpoints (s3://bucket/path)"
    )
    parser.add_argument("--step", type=int, help="which checkpoint; by default the newest")
    parser.add_argument("--out", type=Path, help="by default export-STEP in the run's folder")
    parser.add_argument(
        "--base", type=Path, help="where the folder that training began from (model.checkpoint) lies now"
    )
    options = parser.parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled")  # it is meant to be
            folder = export_run(options.run, step=options.step, out=options.out, base=options.base)
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
