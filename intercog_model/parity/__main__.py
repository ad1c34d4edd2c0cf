"""`python -m intercog_model.parity FOLDER`: recompute a golden folder and print every error; exit 1 on a miss."""

import argparse
import sys
from pathlib import Path

from intercog_model.parity import check_flow, check_helpers, check_inference, check_train_forward, check_vae, check_vit
from intercog_model.parity.golden import Golden
from intercog_model.parity.report import Report, print_report

CHECKS = {
    module.FILE: module.check
    for module in (check_train_forward, check_vit, check_vae, check_inference, check_flow, check_helpers)
}


def run_folder(folder: Path) -> Report:
    """All checks of a folder; faults of the folder itself become misses that name them."""
    golden = Golden(folder)
    golden.build()
    for name in golden.cases["files"]:
        if name not in CHECKS:
            golden.report.miss(name, "no check computes this file")
    for name, check in CHECKS.items():
        check(golden)
    return golden.report


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 all within tolerance, 1 a miss, 2 wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m intercog_model.parity", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="golden folder with cases.json")
    options = parser.parse_args(arguments)
    report = run_folder(options.folder)
    print_report(report, str(options.folder))
    return 1 if report.misses else 0


if __name__ == "__main__":
    sys.exit(main())
