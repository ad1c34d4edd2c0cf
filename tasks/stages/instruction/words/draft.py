"""What the gates look at, and what each of them says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
        scene: the things, with the target among them.
        edit_type: the type that was asked for.
        argument: what the target is to become; ``""`` when the edit has none or it is left to the writer.
        raw: the reply as the model wrote it.
        reply: the reply's texts, or None when they can't be read.
        fault: why they can't, ``""`` when they can.
        rewritten: the instruction after rewriting, ``""`` without one.
        referred: the things a referrer found from the final words, None when none was asked.
    """

    scene: WordScene
    edit_type: EditType
    argument: str
    raw: str
    reply: WrittenInstruction | None
    fault: str = ""
    rewritten: str = ""
    referred: tuple[int, ...] | None = None

    def orders(self) -> Iterator[tuple[str, Reading, Order]]:
        """The instruction and its rewriting, each with its name and as an order."""
        if self.reply is None:
            return
        for name, text in (("instruction", self.reply.instruction), ("rewriting", self.rewritten)):
            if text:
                reading = self.read(text)
                yield name, reading, order_of(reading, self.scene)

    def part(self, name: str) -> Reading:
        """One of the four parts."""
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
        """A text read with this scene's labels as known nouns."""
        return read(text, self.scene.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a gate found.

    Attributes:
        faults: each one in words: what the text says and what the scene says; empty when there is none.
        decided: whether any words were unambiguous enough to be compared.
        reason: why the draft is refused when there are faults, where it is not the gate's own reason.
    """

    faults: tuple[str, ...] = ()
    decided: bool = False
    reason: Reason | None = None


def finding(faults: Sequence[str], decided: bool, reason: Reason | None = None) -> Finding:
    """A finding from a list of faults; a fault is always decided."""
    return Finding(faults=tuple(dict.fromkeys(faults)), decided=decided or bool(faults), reason=reason)
