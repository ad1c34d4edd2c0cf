"""The embedded instructor: scene facts and sentence patterns into the JSON reply of the paper's Figure 19."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import Field

from prompts import load_data, load_prompt
from tasks.backends.embedded.language.descriptions import (
    editing_description,
    pronouns,
    result_description,
    scene_description,
    zone,
)
from tasks.backends.embedded.language.localization import target_localization
from tasks.backends.embedded.language.realization import Writer, upper_first, with_article
from tasks.backends.embedded.language.references import COLORED, Reference, candidate_references
from tasks.backends.embedded.language.scene_facts import FactLimits, SceneFacts, gather_facts, has_color_name
from tasks.backends.embedded.nouns import noun
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.questions import InstructionRequest

PATTERNS = "patterns_instructor"
VERSION = 5
"""Raised when the code of this backend changes what comes out; the pattern file has its own digest."""


class SceneFactsOptions(Settings):
    """Options of the backend ``scene-facts``."""

    weak_score: float = Field(
        default=0.2, ge=0, le=1, description="a weak detection from here on may be another instance"
    )
    named_score: float = Field(
        default=0.8, ge=0, le=1, description="things below are not named in a text, be it as target or anchor"
    )
    color_share: float = Field(
        default=0.7, ge=0, le=1, description="share of the mask that lets a thing be called by its colour"
    )
    max_risk: float = Field(
        default=0.22,
        ge=0,
        le=1,
        description="wordings with a higher estimated risk of a second reading are refused",
    )
    slack: float = Field(
        default=0.05, ge=0, le=1, description="wordings this close to the safest are drawn among, for variety"
    )


class SceneFactsInstructor:
    """Writes only what geometry and measured colours carry; refuses when no wording is safe."""

    Options = SceneFactsOptions
    needs_pixels = False

    def __init__(self, options: SceneFactsOptions | None = None) -> None:
        self.options = options or SceneFactsOptions()
        self._patterns = load_data(PATTERNS)

    @classmethod
    def describe(cls, options: SceneFactsOptions) -> ModelIdentity:
        """An algorithm; its digest is the pattern file's."""
        del options
        return ModelIdentity(
            role="instructor",
            backend="scene-facts",
            model="scene facts and sentence patterns",
            revision=f"groundedit/{VERSION}",
            digest=load_prompt(PATTERNS).sha256,
        )

    @property
    def identity(self) -> ModelIdentity:
        """As `describe` says."""
        return self.describe(self.options)

    def write(self, requests: Sequence[InstructionRequest]) -> list[str]:
        """One reply a request: the JSON object, or ``{"Refusal": …}`` when nothing true and unique can be said."""
        return [self._write_one(request) for request in requests]

    def _write_one(self, request: InstructionRequest) -> str:
        limits = FactLimits(
            weak=self.options.weak_score, named=self.options.named_score, color_share=self.options.color_share
        )
        writer = Writer(patterns=self._patterns, seed=request.seed, key=request.target.target_id)
        if len(request.target.indices) > 1:
            return _refusal(writer, noun(request.target.label).many)
        facts = gather_facts(request.target, limits)
        sure = facts.target.score >= self.options.named_score
        reference = self._draw_reference(facts, writer) if sure else None
        if reference is None:
            return _refusal(writer, noun(request.target.label).one)
        ref = say_reference(reference, facts, writer)
        localization = target_localization(facts, reference, ref, limits, writer)
        if localization is None:
            return _refusal(writer, noun(request.target.label).one)
        slots = _edit_slots(request, facts, ref, writer)
        chain = {
            "1_Scene_Description": scene_description(facts, limits, writer),
            "2_Target_Localization": localization,
            "3_Editing_Description": editing_description(request.edit_type, slots, writer),
            "4_Post_Edit_Description": result_description(facts, request.edit_type, slots, writer),
        }
        reply = {
            "Editing_Type": request.edit_type.value,
            "Editing_Instruction": writer.say(f"instruction.{request.edit_type.value}", slots),
            "CoT": chain,
        }
        return json.dumps(reply, ensure_ascii=False)

    def _draw_reference(self, facts: SceneFacts, writer: Writer) -> Reference | None:
        """One of the wordings close to the safest, by seed; first a kind, then one of it, for variety."""
        safe = [
            r
            for r in candidate_references(facts, self.options.color_share)
            if r.risk <= self.options.max_risk
        ]
        safe = [r for r in safe if r.risk <= safe[0].risk + self.options.slack]
        if not safe:
            return None
        kinds = sorted({r.kind for r in safe})
        kind = kinds[writer.draw("reference.kind", len(kinds))]
        of_kind = [r for r in safe if r.kind == kind]
        return of_kind[writer.draw("reference.one", len(of_kind))]


def say_reference(reference: Reference, facts: SceneFacts, writer: Writer) -> str:
    """The reference as a noun phrase that begins with ``the``."""
    word = noun(facts.target.label)
    slots = {
        "noun": f"{reference.color} {word.one}" if reference.color else word.one,
        "side": reference.side,
        **pronouns(word, writer),
        "ordinal": str(writer.entry("ordinals")[reference.rank if reference.kind == "ordinal" else 0]),
        "zone": zone(facts, facts.target, writer),
    }
    for name, anchor in zip(("a", "b"), reference.anchors, strict=False):
        slots[name] = noun(anchor.label).many if reference.group else noun(anchor.label).one
    # A coloured wording uses the patterns of the plain one: its colour stands before the noun.
    return writer.say(f"reference.{reference.kind.removeprefix(COLORED)}", slots)


def _edit_slots(request: InstructionRequest, facts: SceneFacts, ref: str, writer: Writer) -> dict[str, str]:
    word = noun(request.target.label)
    effects = writer.entry("effects")
    phrases = effects.get(request.argument, {})
    old = facts.target.color if has_color_name(facts.target) else ""
    return {
        **pronouns(word, writer),
        "ref": ref,
        "Ref": upper_first(ref),
        "effect": str(phrases.get("effect", request.argument)),
        "shown": str(phrases.get("shown", request.argument)),
        "noun": word.one,
        "many": word.many,
        "old": old,
        "an_old": with_article(old),
        "argument": request.argument,
        "an_argument": with_article(request.argument),
    }


def _refusal(writer: Writer, word: str) -> str:
    return json.dumps({"Refusal": writer.say("refusal", {"noun": word})})
