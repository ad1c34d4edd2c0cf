"""The registry of stages: what each depends on (its digest), which roles it asks, and how it is built."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, cast

from prompts import prompt_digests
from tasks.records.canonical import canonical_json
from tasks.records.errors import ConfigurationError
from tasks.records.outcomes import STAGES
from tasks.records.records import SCHEMA_VERSION
from tasks.records.settings_base import RoleSettings, Settings
from tasks.roles.asks import Ask
from tasks.roles.backend import ServedBackend
from tasks.roles.backends import BackendChoice, choose
from tasks.roles.calls import Route
from tasks.roles.placement import HERE
from tasks.stages.choices import configured_offers, served_by
from tasks.stages.config import BuildConfig
from tasks.stages.sample_stage import SampleStage

NOT_HASHED = {"unit_size"}
"""Settings of a stage that cannot change its results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec:
    """A stage before its models are loaded.

    Attributes:
        name: of the stage, and of its section in the configuration.
        module: contains ``STEP_VERSIONS`` and ``build(config, asks)``; imported only when needed.
        roles: setting with a backend -> role.
        seeded: whether the build's seed can change its results.
        word_files: files of ``prompts`` read by its own code (backends name those that they read).
    """

    name: str
    module: str
    roles: Mapping[str, str] = field(default_factory=dict)
    seeded: bool = True
    word_files: tuple[str, ...] = ()

    def settings(self, config: BuildConfig) -> Settings:
        """The stage's section of the configuration."""
        return cast("Settings", getattr(config, self.name))

    def role_settings(self, config: BuildConfig) -> dict[str, RoleSettings]:
        """Setting -> configured role; optional roles that are not configured are omitted."""
        section = self.settings(config)
        found = {setting: getattr(section, setting) for setting in self.roles}
        return {setting: role for setting, role in found.items() if role is not None}

    def choices(self, config: BuildConfig) -> dict[str, BackendChoice]:
        """Setting -> backend with validated options; loads no model.

        Raises:
            ConfigurationError: a backend or option that does not exist.
        """
        return {
            setting: choose(
                self.roles[setting], role, f"{self.name}.{setting}", served=served_by(config, role.run)
            )
            for setting, role in self.role_settings(config).items()
        }

    def step_versions(self) -> dict[str, int]:
        """Versions of the stage's steps."""
        return cast("dict[str, int]", import_module(self.module).STEP_VERSIONS)

    def build(
        self, config: BuildConfig, asks: Mapping[str, Ask[Any, Any]], digests: Mapping[str, str]
    ) -> SampleStage:
        """The stage, ready for samples; ``digests`` maps stage -> config8 of the build."""
        make = cast("Callable[..., SampleStage]", import_module(self.module).build)
        return make(config, asks, digests)


SPECS: dict[str, StageSpec] = {
    spec.name: spec
    for spec in (
        StageSpec(name="ingest", module="tasks.stages.ingest.stage", seeded=False),
        StageSpec(
            name="grounding",
            module="tasks.stages.grounding.stage",
            roles={
                "tagger": "tagger",
                "detector": "detector",
                "segmenter": "segmenter",
                "judge": "target_judge",
            },
        ),
        StageSpec(
            name="instruction",
            module="tasks.stages.instruction.stage",
            roles={
                "instructor": "instructor",
                "rewriter": "rewriter",
                "referrer": "referrer",
                "text_judge": "text_judge",
            },
            word_files=("gate_nouns", "gate_vocabulary", "refusals"),
        ),
        StageSpec(
            name="editing",
            module="tasks.stages.editing.stage",
            roles={
                "editor": "editor",
                "inpainter": "inpainter",
                "judge": "edit_judge",
                "second_judge": "edit_judge",
                "detector": "detector",
                "segmenter": "segmenter",
            },
        ),
        StageSpec(name="publish", module="tasks.stages.publish.stage"),
    )
}
"""The five stages in order."""

assert tuple(SPECS) == STAGES


def check_roles(config: BuildConfig) -> None:
    """Checks every backend, option and placement, and that at least one edit type is possible; loads no model.

    Raises:
        ConfigurationError: the message names key, value and what is allowed.
    """
    for spec in SPECS.values():
        for setting, choice in spec.choices(config).items():
            role = spec.role_settings(config)[setting]
            check_placement(config, f"{spec.name}.{setting}.run", role.run, choice)
    _check_judges(SPECS["editing"].choices(config))
    offered = configured_offers(config).edit_types
    weights = config.instruction.weights
    if not any(weights.get(edit_type, 0.0) > 0 for edit_type in offered):
        given = {edit_type.value: weight for edit_type, weight in weights.items()}
        msg = (
            f"instruction.weights={given!r}: no edit type can be chosen; {config.editing.editor.backend} and "
            f"{config.editing.inpainter.backend} offer {', '.join(offered)}"
        )
        raise ConfigurationError(msg)


def routes_of(config: BuildConfig, stage: str) -> dict[str, Route]:
    """Setting -> route, for the roles of a stage that are not answered in the worker.

    Two settings with the same backend, options and placement share one route, and so one model.
    """
    routes: dict[str, Route] = {}
    spec = SPECS[stage]
    choices = spec.choices(config)
    for setting, role in spec.role_settings(config).items():
        if role.run == HERE:
            continue
        choice = choices[setting]
        served = served_by(config, role.run)
        material = canonical_json(choice.material())
        name = f"{choice.role}-{hashlib.sha256(material).hexdigest()[:8]}@{role.run}"
        routes[setting] = Route(name=name, role=choice.role, choice=choice, run=role.run, served=served)
    return routes


def stage_material(config: BuildConfig, stage: str) -> dict[str, Any]:
    """Everything that can change a stage's results, except the stage before it; stored in `config.json`."""
    spec = SPECS[stage]
    settings = spec.settings(config).model_dump(mode="json", exclude=NOT_HASHED | set(spec.roles))
    material: dict[str, Any] = {
        "stage": stage,
        "schema_version": SCHEMA_VERSION,
        "steps": spec.step_versions(),
        "settings": settings,
        "roles": {setting: choice.material() for setting, choice in spec.choices(config).items()},
    }
    if spec.seeded:
        material["seed"] = config.seed
    if spec.word_files:
        material["words"] = dict(prompt_digests(spec.word_files))
    if stage == "instruction":
        # Of the editor only its offer counts, so editors with the same offer share their instructions.
        material["offers"] = configured_offers(config).material()
    if stage == "publish":
        material["name"] = config.name
    return material


def material_digest(config: BuildConfig, stage: str) -> str:
    """SHA-256 of a stage's own material, which a worker compares with its driver's."""
    return hashlib.sha256(canonical_json(stage_material(config, stage))).hexdigest()


def stage_digests(config: BuildConfig) -> dict[str, str]:
    """``config8`` of each stage: 8 hex digits over its material and the digest of the stage before."""
    digests: dict[str, str] = {}
    before = ""
    for stage in STAGES:
        text = canonical_json({"before": before, **stage_material(config, stage)})
        before = digests[stage] = hashlib.sha256(text).hexdigest()[:8]
    return digests


def _check_judges(choices: Mapping[str, BackendChoice]) -> None:
    """A second judge that asks the same of the same model would agree with the first always."""
    first, second = choices["judge"], choices.get("second_judge")
    if second is not None and second.material() == first.material():
        msg = (
            f"editing.second_judge={second.name!r} of {second.identity.model}: the same judge as editing.judge; "
            "expected another model, or another backend"
        )
        raise ConfigurationError(msg)


def check_placement(config: BuildConfig, key: str, run: str, choice: BackendChoice) -> None:
    """Checks that a backend may run where it is configured to.

    Raises:
        ConfigurationError: no such pool or server, or one that does not hold the role.
    """
    served = issubclass(choice.backend, ServedBackend)
    pools = [name for name, pool in config.pools.items() if choice.role in pool.holds]
    here = [HERE] if choice.backend.reproducible else []
    allowed = list(config.servers) if served else [*here, *pools]
    if run not in allowed:
        kind = (
            "a server"
            if served
            else "here or a pool that holds it"
            if HERE in allowed
            else "a pool that holds it"
        )
        available = ", ".join(allowed) or "none"
        msg = f"{key}={run!r}: {choice.role} {choice.name!r} is answered by {kind} (available: {available})"
        raise ConfigurationError(msg)
