"""All checks of a golden folder, one after the other, into one report."""

from pathlib import Path

from intercog_model.parity import (
    check_flow,
    check_helpers,
    check_inference,
    check_shapes,
    check_train_forward,
    check_vae,
    check_values,
    check_vit,
)
from intercog_model.parity.golden import Golden
from intercog_model.parity.report import TOLERANCE, Report

CHECKS = {
    module.FILE: module.check
    for module in (check_train_forward, check_vit, check_vae, check_inference, check_flow, check_helpers)
}


def run_folder(folder: Path) -> Report:
    """All checks of a folder; faults of the folder itself become misses that name them."""
    golden = Golden(folder)
    report = golden.report
    with golden.guarding("cases.json: tolerance"):
        check_tolerance(golden)
    if not golden.weights or not golden.vae_weights or not golden.stored_config:
        return report  # named by now; without weights and a configuration there is nothing to compute
    with golden.guarding("cases.json: config"):
        check_shapes.check(golden)
        golden.build()
        check_values.replace_unusable(golden)
        golden.check_tables()
    if not golden.tables:
        return report  # no network fits the weights
    for name in golden.cases["files"].keys() - CHECKS.keys():
        report.miss(name, "no check computes this file")
    for name, check in CHECKS.items():
        if name not in golden.cases["files"]:
            report.miss(name, "is not listed in cases.json")
        elif name in golden.tensors:
            with golden.guarding(name):
                check(golden)
    check_values.check(golden)
    return report


def check_tolerance(golden: Golden) -> None:
    """A folder must state the tolerance that is used here."""
    stated = golden.cases["tolerance"]
    for role, name in (("float", "float tensors"), ("gradient", "role gradient")):
        ours = dict(zip(("rtol", "atol"), TOLERANCE[role], strict=True))
        note = f"{stated.get(name)} stated, {ours} used"
        golden.report.require(f"cases.json: tolerance.{name}", stated.get(name) == ours, note)
