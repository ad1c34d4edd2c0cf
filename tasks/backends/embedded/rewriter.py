"""The embedded rewriter: says an instruction in other words by patterns, from the text alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from prompts import load_data, load_prompt
from tasks.backends.embedded.realisation import Writer
from tasks.records import ModelIdentity
from tasks.roles.protocols import RewriteRequest

PATTERNS = "patterns_rewriter"
VERSION = 1
"""Raised when the code of this backend changes what comes out; the pattern file has its own digest."""

_PARTS = {"{ref}": r"(?P<ref>.+?)", "{argument}": r"(?P<argument>[a-z ]+?)"}


class ParaphraseRewriter:
    """Reads an instruction by the patterns of its type and says it by another of them."""

    def __init__(self) -> None:
        self._patterns = load_data(PATTERNS)

    @property
    def identity(self) -> ModelIdentity:
        """The backend; its digest is the pattern file's."""
        return ModelIdentity(
            role="rewriter",
            backend="paraphrase",
            model="sentence patterns",
            revision=f"groundedit/{VERSION}",
            digest=load_prompt(PATTERNS).sha256,
        )

    def rewrite(self, requests: Sequence[RewriteRequest]) -> list[str]:
        """One instruction a request; one whose build is unknown only gets a frame around it."""
        return [self._rewrite_one(request) for request in requests]

    def _rewrite_one(self, request: RewriteRequest) -> str:
        writer = Writer(patterns=self._patterns, seed=request.seed, key=request.instruction)
        patterns = self._patterns.get(request.edit_type.value, {})
        slots = _read(request.instruction, patterns.get("reads", ()))
        if slots is None:
            lowered = request.instruction[:1].lower() + request.instruction[1:]
            return writer.say("frames", {"lowered": lowered})
        slots["ref"] = _say_otherwise(slots["ref"], self._patterns["same"], writer)
        return writer.say(f"{request.edit_type.value}.writes", slots)


def _read(instruction: str, reads: Sequence[str]) -> dict[str, str] | None:
    """The slots of the first pattern that the whole instruction fits, or None."""
    for pattern in reads:
        body = re.escape(pattern).replace(r"\{", "{").replace(r"\}", "}").replace(r"\ ", " ")
        for slot, group in _PARTS.items():
            body = body.replace(slot, group)
        match = re.fullmatch(body, instruction.strip())
        if match:
            return dict(match.groupdict())
    return None


def _say_otherwise(ref: str, same: Sequence[Sequence[str]], writer: Writer) -> str:
    """The wording of the target with each phrase that occurs put for one of equal meaning."""
    for number, row in enumerate(same):
        present = next((p for p in sorted(row, key=len, reverse=True) if _has(ref, p)), None)
        if present is not None:
            ref = re.sub(
                rf"\b{re.escape(present)}\b", row[writer.draw(f"same.{number}", len(row))], ref, count=1
            )
    return ref


def _has(ref: str, phrase: str) -> bool:
    return re.search(rf"\b{re.escape(phrase)}\b", ref) is not None
