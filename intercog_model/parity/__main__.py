"""`python -m intercog_model.parity FOLDER`: recompute a golden folder, print every error; exit 1 on a miss."""

import argparse
import sys
import warnings
from pathlib import Path

from intercog_model.parity import count_names
from intercog_model.parity.report import print_report
from intercog_model.parity.run import run_folder


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 all within tolerance, 1 a miss, 2 wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m intercog_model.parity", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="golden folder with cases.json")
    parser.add_argument("--names", action="store_true", help="count names and values of the full-size model")
    options = parser.parse_args(arguments)
    if options.names:
        return count_names.run()
    if options.folder is None or not options.folder.is_dir():
        parser.error("FOLDER must be a golden folder with a cases.json")
    # the uncompiled route is meant here: it needs no compiler and is exact
    warnings.filterwarnings("ignore", message="flex_attention called without")
    report = run_folder(options.folder)
    print_report(report, str(options.folder))
    return 1 if report.misses else 0


if __name__ == "__main__":
    sys.exit(main())
