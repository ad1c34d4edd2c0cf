"""The five stages: what each depends on (its digest) and how it is built with its models."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from tasks.records.canonical import canonical_json
from tasks.records.errors import ConfigurationError
from tasks.records.outcomes import STAGES, Stage
from tasks.records.records import SCHEMA_VERSION, EditType
from tasks.records.settings_base import RoleSettings, Settings
from tasks.roles.backends import backend_class, backend_options, check_role, describe_role, load_role
from tasks.stages.config import BuildConfig

NOT_HASHED = {"unit_size"}
"""Settings of a stage that cannot change what comes out."""

ROLES = {
    "ingest": {},
    "grounding": {
        "tagger": "tagger",
        "detector": "detector",
        "segmenter": "segmenter",
        "judge": "target_judge",
    },
    "instruction": {"instructor": "instructor", "rewriter": "rewriter", "referrer": "referrer"},
    "editing": {
        "editor": "editor",
        "inpainter": "inpainter",
        "judge": "edit_judge",
        "detector": "detector",
        "segmenter": "segmenter",
    },
    "publish": {},
}
"""Stage -> setting that names a backend -> role it plays."""


def check_roles(config: BuildConfig) -> None:
    """Raise `ConfigurationError` for a backend or option that doesn't exist, or backends that no edit type with a
    weight is offered by; loads no model.
    """
    for stage, roles in ROLES.items():
        for key, role in roles.items():
            check_role(role, getattr(getattr(config, stage), key), f"{stage}.{key}")
    weights, offered = config.instruction.weights, offered_types(config)
    if not any(weights.get(edit_type, 0.0) > 0 for edit_type in offered):
        given = {edit_type.value: weight for edit_type, weight in weights.items()}
        names = ", ".join(offered)
        msg = (
            f"instruction.weights={given!r}: no edit type would ever be drawn; give one a weight above 0 out of what "
            f"{config.editing.editor.backend} and {config.editing.inpainter.backend} offer ({names})"
        )
        raise ConfigurationError(msg)


def offered_types(config: BuildConfig) -> tuple[EditType, ...]:
    """Edit types the configured editor and inpainter can do, in the enum's order."""
    editor = config.editing.editor
    offers = backend_class("editor", editor).offers_of(backend_options("editor", editor))
    return tuple(t for t in EditType if t in offers or t is EditType.REMOVE)


def stage_material(config: BuildConfig, stage: str) -> dict[str, Any]:
    """Everything that can change a stage's results, except the stage before it; what `config.json` holds."""
    settings: Settings = getattr(config, stage)
    plain = settings.model_dump(mode="json", exclude=NOT_HASHED | set(ROLES[stage]))
    material: dict[str, Any] = {
        "stage": stage,
        "schema_version": SCHEMA_VERSION,
        "steps": _step_versions(stage),
        "settings": plain,
        "roles": {key: _role_material(role, getattr(settings, key)) for key, role in ROLES[stage].items()},
    }
    if stage != "ingest":
        material["seed"] = config.seed
    if stage == "instruction":
        material["offers"] = [t.value for t in offered_types(config)]
        material["prompts"] = _prompt_digests()
    if stage == "publish":
        material["name"] = config.name
    return material


def stage_digests(config: BuildConfig) -> dict[str, str]:
    """``config8`` of each stage: 8 hex digits over its material and the digest of the stage before."""
    digests: dict[str, str] = {}
    before = ""
    for stage in STAGES:
        text = canonical_json({"before": before, **stage_material(config, stage)})
        before = digests[stage] = hashlib.sha256(text).hexdigest()[:8]
    return digests


def build_stage(config: BuildConfig, stage: str) -> Stage:
    """The stage with its models loaded, ready for units; models of a stage built before that this one lacks are let go.

    Raises:
        ModelUnavailable, AssetUnavailable: a backend cannot be loaded now.
    """
    settings = getattr(config, stage)
    wanted = {_name(role, getattr(settings, key)) for key, role in ROLES[stage].items()}
    for name in _LOADED.keys() - wanted:
        del _LOADED[name]
    return BUILDERS[stage](config)


def _build_ingest(config: BuildConfig) -> Stage:
    from tasks.stages.ingest.stage import IngestStage  # noqa: PLC0415  (a worker imports only its own stage)

    return IngestStage(sources=config.sources, settings=config.ingest)


def _build_grounding(config: BuildConfig) -> Stage:
    from tasks.stages.grounding.stage import GroundingStage  # noqa: PLC0415

    roles = _load_roles("grounding", config.grounding)
    return GroundingStage(settings=config.grounding, seed=config.seed, **roles)


def _build_instruction(config: BuildConfig) -> Stage:
    from tasks.stages.instruction.stage import InstructionStage  # noqa: PLC0415

    roles = _load_roles("instruction", config.instruction)
    return InstructionStage(
        settings=config.instruction, seed=config.seed, offers=offered_types(config), **roles
    )


def _build_editing(config: BuildConfig) -> Stage:
    from tasks.stages.editing.stage import EditingStage  # noqa: PLC0415

    roles = _load_roles("editing", config.editing)
    return EditingStage(settings=config.editing, seed=config.seed, **roles)


def _build_publish(config: BuildConfig) -> Stage:
    from tasks.publishing.release_context import sample_context  # noqa: PLC0415
    from tasks.stages.publish.stage import PublishStage  # noqa: PLC0415

    context = sample_context(
        config.seed, stage_digests(config), config.editing.min_accuracy, config.editing.min_seamlessness
    )
    return PublishStage(settings=config.publish, context=context)


_LOADED: dict[tuple[str, type, bytes], Any] = {}
"""This process's backends by what made them: a stage takes over from the one before what both need."""

BUILDERS: dict[str, Callable[[BuildConfig], Stage]] = {
    "ingest": _build_ingest,
    "grounding": _build_grounding,
    "instruction": _build_instruction,
    "editing": _build_editing,
    "publish": _build_publish,
}


def _load_roles(stage: str, settings: Settings) -> dict[str, Any]:
    return {key: _loaded(role, getattr(settings, key)) for key, role in ROLES[stage].items()}


def _loaded(role: str, settings: RoleSettings) -> Any:
    name = _name(role, settings)
    if name not in _LOADED:
        _LOADED[name] = load_role(role, settings)
    return _LOADED[name]


def _name(role: str, settings: RoleSettings) -> tuple[str, type, bytes]:
    """Equal names mean the same backend with the same options."""
    options = backend_options(role, settings).model_dump(mode="json")
    return role, backend_class(role, settings), canonical_json(options)


def _role_material(role: str, settings: RoleSettings) -> dict[str, Any]:
    identity = describe_role(role, settings)
    return {
        "backend": identity.backend,
        "model": identity.model,
        "revision": identity.revision,
        "digest": identity.digest,
        "options": backend_options(role, settings).model_dump(mode="json"),
    }


def _step_versions(stage: str) -> dict[str, int]:
    from importlib import import_module  # noqa: PLC0415

    module = {
        "ingest": "tasks.stages.ingest.stage",
        "grounding": "tasks.stages.grounding.stage",
        "instruction": "tasks.stages.instruction.stage",
        "editing": "tasks.stages.editing.stage",
        "publish": "tasks.stages.publish.stage",
    }[stage]
    versions: dict[str, int] = import_module(module).STEP_VERSIONS
    return versions


def _prompt_digests() -> dict[str, str]:
    from prompts import prompt_digests  # noqa: PLC0415

    return dict(prompt_digests())
