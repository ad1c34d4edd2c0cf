"""``groundedit models check``: what a profile needs, what of it is there, and whether it fits the GPUs."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from flows.build.check_models import CheckedRole, ModelsCheck, check_models
from flows.build.request import BuildRequest, resolve
from flows.build.stage_memory import StageMemory, cards_here
from flows.cli.tables import text_table
from flows.cli.terminal import tell
from tasks.backends.known_models import known_model

COMPLETE, MISSING, WRONG = 0, 1, 2


def check_profile(arguments: argparse.Namespace) -> int:
    """A line per role and per stage; exit code 0 all there and fits, 1 something is missing, 2 wrong configuration.

    Raises:
        ConfigurationError: the profile cannot be read.
    """
    config, _ = resolve(BuildRequest(profile=arguments.profile, assignments=tuple(arguments.assignments)))
    checked = check_models(
        config,
        cards=arguments.cards or cards_here(config.execution.local_gpus),
        card_gb=arguments.card_gb or config.execution.card_gb,
    )
    if arguments.json:
        verdict = {"missing": checked.missing, "wrong": checked.wrong, "not_fitting": checked.not_fitting}
        tell(json.dumps({**asdict(checked), **verdict}, indent=2, default=str))
    else:
        _print(checked)
    return WRONG if checked.wrong or checked.not_fitting else MISSING if checked.missing else COMPLETE


def _print(checked: ModelsCheck) -> None:
    header = ("setting", "backend", "answered by", "model", "license", "GPU GB", "digest", "files")
    tell(text_table([header, *(_row(role) for role in checked.roles)], right=[5]))
    if checked.servers:
        rows = [
            (one.name, one.model, one.license or "-", ", ".join(one.urls) or "started by the build")
            for one in checked.servers
        ]
        tell(f"\n{text_table([('server', 'model', 'license', 'where'), *rows])}")
    if files := _file_rows(checked):
        tell(f"\n{text_table([('file', 'of', 'GB', 'source'), *files], right=[2])}")
    if checked.stages:
        tell(f"\nGPU memory on {checked.cards} card{'s' * (checked.cards > 1)} of {checked.card_gb:g} GB")
        stages = [line for stage in checked.stages for line in _stage_rows(stage, checked.card_gb)]
        tell(text_table([("stage", "card", "GB", "free", "what"), *stages], right=[1, 2, 3]))
    for title, texts in (
        ("missing", checked.missing),
        ("wrong", checked.wrong),
        ("does not fit", checked.not_fitting),
    ):
        if texts:
            tell(f"\n{title}:")
            for text in texts:
                tell(f"  {text}")
    if not (checked.missing or checked.wrong or checked.not_fitting):
        tell("\nall there" + (" and fits" if checked.stages else ""))


def _row(role: CheckedRole) -> tuple[str, ...]:
    there = sum(file.present for file in role.files)
    return (
        role.setting,
        role.backend,
        role.run,
        role.model or "-",
        role.license or "-",
        f"{role.gpu_gb:g}" if role.gpu_gb else "-",
        f"{role.digest[:8]} ({role.origin})"
        if role.digest and role.origin in ("lock", "option")
        else role.origin or "not stated",
        f"{there} of {len(role.files)}" if role.files else "-",
    )


def _file_rows(checked: ModelsCheck) -> list[tuple[str, ...]]:
    """Every file or folder once, with all settings that name it."""
    named: dict[str, tuple[list[str], str, str]] = {}
    for one in checked.parts:
        key = one.setting if isinstance(one, CheckedRole) else f"servers.{one.name}"
        for file in one.files:
            size = f"{file.gb:.3g}" if file.present else "missing"
            weights = file.option in ("weights", "path", "package")
            known = known_model(str(file.path))
            source = known.source if known else one.source if weights else ""
            named.setdefault(str(file.path), ([], size, source or "-"))[0].append(key)
    return [(path, ", ".join(keys), size, source) for path, (keys, size, source) in named.items()]


def _stage_rows(stage: StageMemory, card_gb: float) -> list[tuple[str, ...]]:
    if stage.problem:
        what = ", ".join(f"{share.name} {share.gb:g}" for share in stage.asked)
        return [(stage.stage, "-", "-", "-", f"does not fit: {what}")]
    return [
        (
            stage.stage,
            str(number),
            f"{sum(share.gb for share in card):g}",
            f"{card_gb - sum(share.gb for share in card):g}",
            ", ".join(f"{share.name} {share.gb:g}" for share in card),
        )
        for number, card in enumerate(stage.cards)
        if card
    ]
