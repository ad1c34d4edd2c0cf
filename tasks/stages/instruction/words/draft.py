"""The input of the gates, and their findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tasks.records.errors import Reason
from tasks.records.records import EditType
from tasks.roles.questions import WrittenInstruction
from tasks.stages.instruction.words.reading import Order, Reading, order_of, read
from tasks.stages.instruction.words.scene import WordScene

PARTS = ("scene", "localization", "editing", "result")
"""The names of the four parts of a reply, in the paper's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An edit in words, before it is accepted.

    Attributes:
        scene: the things, including the target.
        edit_type: the requested type.
        argument: what the target will become; ``""`` if the edit has none or the writer chooses.
        raw: the reply as the model wrote it.
        reply: the reply's texts, or None if they cannot be read.
        fault: why they cannot be read, else ``""``.
        rewritten: the instruction after rewriting, ``""`` without one.
        referred: the things that a referrer found from the final words, None if none was asked.
    """

    scene: WordScene
    edit_type: EditType
    argument: str
    raw: str
    reply: WrittenInstruction | None
    fault: str = ""
    rewritten: str = ""
    referred: tuple[int, ...] | None = None

    def of_whole(self) -> Draft:
        """The draft as words about the whole of its target; of a target of its own, the draft itself.

        "The shirt of the second person from the left" says which person is meant: ranks, sizes and numbers belong to
        the whole, as does a color where its noun follows.
        """
        whole = self.scene.of_whole()
        return self if whole is None else replace(self, scene=whole)

    def orders(self) -> Iterator[tuple[str, Reading, Order]]:
        """The instruction and its rewriting, each with its name and parsed as an order."""
        if self.reply is None:
            return
        for name, text in (("instruction", self.reply.instruction), ("rewriting", self.rewritten)):
            if text:
                reading = self.read(text)
                yield name, reading, order_of(reading, self.scene)

    def part(self, name: str) -> Reading:
        """One of the four parts, parsed."""
        return self.read(dict(self.texts())[name])

    def texts(self) -> Iterator[tuple[str, str]]:
        """All texts with their names: instruction, rewriting, the four parts."""
        if self.reply is None:
            return
        reasoning = self.reply.reasoning
        yield "instruction", self.reply.instruction
        if self.rewritten:
            yield "rewriting", self.rewritten
        yield "scene", reasoning.scene_description
        yield "localization", reasoning.target_localization
        yield "editing", reasoning.editing_description
        yield "result", reasoning.post_edit_description

    def read(self, text: str) -> Reading:
        """Parses a text, with this scene's labels as known nouns."""
        return read(text, self.scene.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Result of a gate.

    Attributes:
        faults: one text per fault, with the draft's words and the scene's facts; empty if there is none.
        decided: whether any words were unambiguous enough to be compared.
        reason: why the draft is rejected, if that differs from the gate's own reason.
    """

    faults: tuple[str, ...] = ()
    decided: bool = False
    reason: Reason | None = None


def finding(faults: Sequence[str], decided: bool, reason: Reason | None = None) -> Finding:
    """A finding from a list of faults; with a fault it is always decided."""
    return Finding(faults=tuple(dict.fromkeys(faults)), decided=decided or bool(faults), reason=reason)
