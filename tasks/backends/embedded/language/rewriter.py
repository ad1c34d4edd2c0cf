"""The embedded rewriter: rephrases an instruction by patterns, from its text alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from prompts import load_data, load_prompt
from tasks.backends.embedded.language.realization import Writer
from tasks.backends.one_by_one import OneByOne
from tasks.records.errors import Reason, SampleError
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.questions import RewriteQuestion

PATTERNS = "patterns_rewriter"
VERSION = 2
"""Raised when the code of this backend changes the output; the pattern file has its own digest."""

SHORT_WORDS = 5
"""Most words of a wording of the target after which the argument may follow at once."""

_REF, _WORD = r"(?P<ref>.+)", r"[a-z-]+"


class ParaphraseOptions(Settings):
    """Options of the backend ``paraphrase``: none."""


class ParaphraseRewriter(OneByOne[RewriteQuestion, str]):
    """Parses an instruction with the patterns of its type and rephrases it with another of them."""

    Options: ClassVar[type[Settings]] = ParaphraseOptions
    answering: ClassVar[frozenset[str]] = frozenset()
    reproducible = True
    wire = 1
    prompts = (PATTERNS,)

    def __init__(self, options: ParaphraseOptions | None = None) -> None:
        self.options = options or ParaphraseOptions()
        self._patterns = load_data(PATTERNS)

    @classmethod
    def identity_of(cls, options: ParaphraseOptions) -> ModelIdentity:
        """No model; the digest is that of the pattern file."""
        del options
        return ModelIdentity(
            role="rewriter",
            backend="paraphrase",
            model="sentence patterns",
            revision=f"groundedit/{VERSION}",
            digest=load_prompt(PATTERNS).sha256,
        )

    def answer_one(self, question: RewriteQuestion) -> str:
        """The instruction rephrased; one that fits no pattern is only put into a polite frame.

        Raises:
            SampleError: ``backend_error`` when there are no words to rewrite.
        """
        if not question.instruction.strip():
            raise SampleError(Reason.BACKEND_ERROR, "the instruction is empty")
        writer = Writer(patterns=self._patterns, seed=question.seed, key=question.instruction)
        patterns = self._patterns.get(question.edit_type.value, {})
        found = _read(question.instruction, patterns)
        if found is None:
            lowered = question.instruction[:1].lower() + question.instruction[1:]
            return writer.say("frames", {"lowered": lowered})
        build, slots = found
        slots["ref"] = _say_otherwise(slots["ref"], self._patterns["same"], self._patterns["repairs"], writer)
        writes = _for_build(build, slots["ref"], patterns)
        return writer.fill(writes[writer.draw("writes", len(writes))], slots)


def _for_build(build: int, ref: str, patterns: Mapping[str, Any]) -> list[str]:
    """The ways to say an instruction of that build: builds with odd numbers share none with even ones."""
    writes = [str(each) for each in patterns["writes"]]
    if len(ref.split()) <= SHORT_WORDS:
        writes += [str(each) for each in patterns.get("brief", ())]
    return writes[build % 2 :: 2] or writes


def _read(instruction: str, patterns: Mapping[str, Any]) -> tuple[int, dict[str, str]] | None:
    """Number and slots of the first build that the whole instruction fits, or None."""
    # Without a list or form of arguments "… to the left of the cup to blue" could be split in the wrong place.
    choice = "|".join(re.escape(str(each)) for each in patterns.get("arguments", ()))
    places = "|".join(re.escape(str(each)) for each in patterns.get("places", ()))
    argument = choice or str(patterns.get("form", _WORD))
    for number, pattern in enumerate(patterns.get("reads", ())):
        body = re.escape(pattern).replace(r"\{", "{").replace(r"\}", "}")
        body = body.replace("{ref}", _REF).replace("{argument}", f"(?P<argument>{argument})")
        match = re.fullmatch(body.replace("{place}", f"(?P<place>{places})"), instruction.strip())
        if match:
            return number, dict(match.groupdict())
    return None


def _say_otherwise(
    ref: str, same: Sequence[Sequence[str]], repairs: Mapping[str, str], writer: Writer
) -> str:
    """The target's wording with each known phrase replaced by one of equal meaning."""
    for number, row in enumerate(same):
        present = next((p for p in sorted(row, key=len, reverse=True) if _has(ref, p)), None)
        if present is not None:
            ref = re.sub(
                rf"\b{re.escape(present)}\b", row[writer.draw(f"same.{number}", len(row))], ref, count=1
            )
    for wrong, right in repairs.items():
        ref = ref.replace(wrong, right)
    return ref


def _has(ref: str, phrase: str) -> bool:
    return re.search(rf"\b{re.escape(phrase)}\b", ref) is not None
