"""The table of backends: role and name to class, imported only when a configuration names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

from pydantic import ValidationError

from prompts import prompt_digests
from tasks.records.errors import ConfigurationError, Reason
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import RoleSettings, Settings
from tasks.roles.backend import Backend, ServedBackend
from tasks.roles.placement import ServedModel

PERCEPTION = "tasks.backends.embedded.perception"
LANGUAGE = "tasks.backends.embedded.language"
PAINTING = "tasks.backends.embedded.painting"
SERVED = "tasks.backends.served"
TORCH = "tasks.backends.torch"

BACKENDS: dict[str, dict[str, str]] = {
    "tagger": {
        "chat": f"{SERVED}.tagger:ChatTagger",
        "efficientnet-lite3": f"{PERCEPTION}.tagger:EfficientNetTagger",
        "ram": f"{TORCH}.ram.tagger:RamTagger",
        "ram-plus": f"{TORCH}.ram.tagger:RamPlusTagger",
    },
    "detector": {
        "fused": f"{PERCEPTION}.detector:FusedDetector",
        "grounding-dino": f"{TORCH}.grounding_dino.detector:GroundingDinoDetector",
        "groundingdino-py": f"{TORCH}.grounding_dino.packaged:PackagedDetector",
        "sam3": f"{TORCH}.sam3.detector:Sam3Detector",
    },
    "segmenter": {
        "sam": f"{TORCH}.sam.segmenter:SamSegmenter",
        "sam2-tiny": f"{PERCEPTION}.segmenter:Sam2Segmenter",
        "sam3": f"{TORCH}.sam3.segmenter:Sam3Segmenter",
        "segment-anything": f"{TORCH}.sam.packaged:SegmentAnythingSegmenter",
    },
    "target_judge": {
        "chat": f"{SERVED}.target_judge:ChatTargetJudge",
        "rules": f"{PERCEPTION}.target_judge:RuleTargetJudge",
    },
    "instructor": {
        "chat": f"{SERVED}.instructor:ChatInstructor",
        "scene-facts": f"{LANGUAGE}.instructor:SceneFactsInstructor",
    },
    "rewriter": {
        "chat": f"{SERVED}.rewriter:ChatRewriter",
        "paraphrase": f"{LANGUAGE}.rewriter:ParaphraseRewriter",
    },
    "referrer": {
        "chat": f"{SERVED}.referrer:ChatReferrer",
        "grammar": f"{LANGUAGE}.referrer:GrammarReferrer",
    },
    "text_judge": {"chat": f"{SERVED}.text_judge:ChatTextJudge"},
    "editor": {
        "bagel": f"{TORCH}.bagel_editor:BagelEditor",
        "classical": f"{PAINTING}.editor:ClassicalEditor",
        "image-edits": f"{SERVED}.image_editor:ImageEditEditor",
    },
    "inpainter": {
        "best-of-two": f"{PAINTING}.best_inpainter:BestOfTwoInpainter",
        "image-edits": f"{SERVED}.image_editor:ImageEditInpainter",
        "lama": f"{TORCH}.lama.inpainter:LamaInpainter",
        "migan": f"{PAINTING}.migan_inpainter:MiganInpainter",
        "patchmatch": f"{PAINTING}.patchmatch_inpainter:PatchMatchInpainter",
        "simple-lama": f"{TORCH}.lama.simple:SimpleLamaInpainter",
    },
    "edit_judge": {
        "chat": f"{SERVED}.edit_judge:ChatEditJudge",
        "rules": f"{PAINTING}.edit_judge:RuleEditJudge",
        "yes-no": f"{SERVED}.yes_no_edit_judge:YesNoEditJudge",
    },
}
"""Role -> backend name -> ``module:Class``; every class is a `tasks.roles.backend.Backend`."""

WORD_GATES: dict[str, tuple[str, Reason]] = {
    "closed_parts": (f"{LANGUAGE}.word_facts:closed_parts", Reason.PARTS_DISAGREE),
    "closed_rewriting": (f"{LANGUAGE}.word_facts:closed_rewriting", Reason.REWRITE_LOST_FACT),
}
"""Checks of words that belong to one kind of writers: gate name -> ``module:function`` and the reason of a refusal.

The function takes a draft (`tasks.stages.instruction.words.draft.Draft`) and returns its faults as sentences.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendChoice:
    """A configured backend before it is loaded: class, checked options, identity.

    Attributes:
        prompts: (name, SHA-256) of each prompt file it reads.
    """

    role: str
    name: str
    backend: type[Backend[Any, Any]]
    options: Settings
    prompts: tuple[tuple[str, str], ...]

    @property
    def identity(self) -> ModelIdentity:
        """Who would answer."""
        return self.backend.identity_of(self.options)

    def material(self) -> dict[str, Any]:
        """What of it can change an answer, for the stage's digest."""
        identity = self.identity
        return {
            "backend": identity.backend,
            "model": identity.model,
            "revision": identity.revision,
            "digest": identity.digest,
            "wire": self.backend.wire,
            "options": self.options.model_dump(mode="json", exclude=set(self.backend.idle)),
            "prompts": dict(self.prompts),
        }

    def load(self) -> Backend[Any, Any]:
        """The backend, ready to answer.

        Raises:
            ModelUnavailable, AssetUnavailable: it cannot be loaded now.
        """
        make = cast("Any", self.backend)
        return cast("Backend[Any, Any]", make(self.options))


def choose(role: str, settings: RoleSettings, key: str, served: ServedModel | None = None) -> BackendChoice:
    """The backend that ``settings`` names, with checked options; loads no model.

    Args:
        role: one of `tasks.roles.questions.ROLES`.
        settings: backend, options and placement.
        key: dotted key of the settings, for messages.
        served: what the server runs that ``settings.run`` names; becomes the option ``served`` of a served backend.

    Raises:
        ConfigurationError: no such backend or option, or a value out of range.
        TypeError: the class does not declare what its answers depend on.
    """
    names = BACKENDS[role]
    if settings.backend not in names:
        available = ", ".join(sorted(names)) or "none"
        msg = f"{key}.backend: unknown {role} {settings.backend!r} (available: {available})"
        raise ConfigurationError(msg)
    module, _, name = names[settings.backend].partition(":")
    backend = cast("type[Backend[Any, Any]]", getattr(import_module(module), name))
    check_declared(backend)
    handed = {"served": served} if served is not None and issubclass(backend, ServedBackend) else {}
    try:
        options = backend.Options.model_validate({**settings.options, **handed})
    except ValidationError as error:
        item = error.errors()[0]
        where = ".".join([key, "options", *(str(part) for part in item["loc"])])
        told = item["msg"]
        if item["type"] == "extra_forbidden":
            told = f"unknown option (available: {', '.join(sorted(backend.Options.model_fields))})"
        msg = f"{where}: {told} (value {item['input']!r})"
        raise ConfigurationError(msg) from error
    if settings.options.get("served") is not None:
        msg = f"{key}.options.served: belongs to the server; set servers.<name>.model"
        raise ConfigurationError(msg)
    return BackendChoice(
        role=role,
        name=settings.backend,
        backend=backend,
        options=options,
        prompts=tuple(prompt_digests(backend.prompts)) if backend.prompts else (),
    )


def check_declared(backend: type[Backend[Any, Any]]) -> None:
    """Refuse a backend class that does not say what an answer depends on; kept answers would be mixed up.

    Raises:
        TypeError: naming the class and what it lacks; a mistake of its author.
    """
    missing = [n for n in ("Options", "answering", "reproducible", "wire") if not hasattr(backend, n)]
    if missing:
        msg = f"{backend.__module__}.{backend.__name__} does not declare {', '.join(missing)}"
        raise TypeError(msg)
    unknown = sorted(backend.answering - backend.Options.model_fields.keys())
    if unknown:
        names = ", ".join(backend.Options.model_fields) or "none"
        msg = f"{backend.__module__}.{backend.__name__}.answering names {', '.join(unknown)} (its options: {names})"
        raise TypeError(msg)


def word_gate(name: str) -> Callable[[Any], tuple[str, ...]]:
    """The function of a gate out of `WORD_GATES`, imported now."""
    module, _, function = WORD_GATES[name][0].partition(":")
    return cast("Callable[[Any], tuple[str, ...]]", getattr(import_module(module), function))
