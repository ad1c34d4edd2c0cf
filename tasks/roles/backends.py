"""From configuration to backends: the table of names, and the only place that imports them, lazily."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

from pydantic import ValidationError

from tasks.records.errors import ConfigurationError
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import RoleSettings, Settings

EMBEDDED = "tasks.backends.embedded"

BACKENDS: dict[str, dict[str, str]] = {
    "tagger": {"efficientnet-lite3": f"{EMBEDDED}.perception.tagger:EfficientNetTagger"},
    "detector": {"coco-pair": f"{EMBEDDED}.perception.detector:PairedDetector"},
    "segmenter": {"sam2-tiny": f"{EMBEDDED}.perception.segmenter:Sam2Segmenter"},
    "target_judge": {"rules": f"{EMBEDDED}.perception.target_judge:RuleTargetJudge"},
    "instructor": {"scene-facts": f"{EMBEDDED}.language.instructor:SceneFactsInstructor"},
    "rewriter": {"paraphrase": f"{EMBEDDED}.language.rewriter:ParaphraseRewriter"},
    "referrer": {"grammar": f"{EMBEDDED}.language.referrer:GrammarReferrer"},
    "editor": {
        "bagel": "tasks.backends.torch.bagel_editor:BagelEditor",
        "classical": f"{EMBEDDED}.painting.editor:ClassicalEditor",
    },
    "inpainter": {
        "best-of-two": f"{EMBEDDED}.painting.best_inpainter:BestOfTwoInpainter",
        "migan": f"{EMBEDDED}.painting.migan_inpainter:MiganInpainter",
        "patchmatch": f"{EMBEDDED}.painting.patchmatch_inpainter:PatchMatchInpainter",
    },
    "edit_judge": {"rules": f"{EMBEDDED}.painting.edit_judge:RuleEditJudge"},
}
"""Role -> backend name -> ``module:Class``; a class has ``Options``, ``describe(options)``, ``__init__(options)``."""


def check_role(role: str, settings: RoleSettings, key: str) -> None:
    """Raise `ConfigurationError` when the backend or one of its options doesn't exist; loads no model."""
    _options(role, settings, key)


def describe_role(role: str, settings: RoleSettings) -> ModelIdentity:
    """Who would answer, without loading it."""
    backend, options = _options(role, settings, role)
    return cast("ModelIdentity", backend.describe(options))


def load_role(role: str, settings: RoleSettings) -> Any:
    """The backend with its model loaded; the caller knows the role's Protocol.

    Raises:
        ModelUnavailable, AssetUnavailable: it cannot be loaded now.
    """
    backend, options = _options(role, settings, role)
    return backend(options)


def backend_class(role: str, settings: RoleSettings) -> Any:
    """The backend's class, imported; for what a class knows without a model (an editor's ``offers``)."""
    return _options(role, settings, role)[0]


def backend_options(role: str, settings: RoleSettings) -> Settings:
    """The backend's options, checked and with defaults filled in."""
    return _options(role, settings, role)[1]


def _options(role: str, settings: RoleSettings, key: str) -> tuple[Any, Settings]:
    names = BACKENDS[role]
    if settings.backend not in names:
        msg = f"{key}.backend: no {role} is called {settings.backend!r}; there is {', '.join(sorted(names))}"
        raise ConfigurationError(msg)
    module, _, name = names[settings.backend].partition(":")
    backend = getattr(import_module(module), name)
    make = cast("Callable[[dict[str, object]], Settings]", backend.Options.model_validate)
    try:
        return backend, make(dict(settings.options))
    except ValidationError as error:
        item = error.errors()[0]
        where = ".".join([key, "options", *(str(p) for p in item["loc"])])
        msg = f"{where}: {item['msg']} (value {item['input']!r})"
        raise ConfigurationError(msg) from error
