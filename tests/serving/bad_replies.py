"""What models make of a right answer, one entry per kind: mended where the answer is plain, else refused with a code.

Each entry turns the text of a good answer into what a server sends in its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.serving.scripts import Answer

OBJECTS = ("tagger", "instructor", "referrer", "edit_judge")
"""Roles that are answered by a JSON object; by default the judges of target and text are by a digit."""

DIGITS = ("target_judge", "text_judge")
EVERY = (*DIGITS, *OBJECTS, "rewriter")


@dataclass(frozen=True, kw_only=True)
class BadReply:
    """One kind.

    Attributes:
        name: of the kind.
        roles: that it can happen to.
        send: text of the good answer -> what is sent.
        code: of the refusal, or ``""`` where the answer is read as if it had been sent well.
        reason: of the row, when it stays so.
    """

    name: str
    roles: tuple[str, ...]
    send: Callable[[str], Answer]
    code: str = ""
    reason: str = "bad_reply"

    def __str__(self) -> str:
        return self.name.replace(" ", "_")


def _text(make: Callable[[str], str]) -> Callable[[str], Answer]:
    return lambda good: Answer(text=make(good))


def _instead(text: str, finish: str = "stop") -> Callable[[str], Answer]:
    return lambda _: Answer(text=text, finish=finish)


def _changed(change: Callable[[dict[str, object]], object]) -> Callable[[str], Answer]:
    """The good object after ``change``, which changes it or returns another."""

    def send(good: str) -> Answer:
        data = json.loads(good)
        other = change(data)
        return Answer(text=json.dumps(data if other is None else other))

    return send


def _curly(good: str) -> str:
    return re.sub(r'"([^"]*)"', r"“\1”", good)


def _keys(respell: Callable[[str], str]) -> Callable[[str], str]:
    return lambda good: re.sub(r'"(\w+)":', lambda key: f'"{respell(key[1])}":', good)


def _first(data: dict[str, object], value: object) -> None:
    data[next(iter(data))] = value


MENDED = (
    BadReply(name="a code fence", roles=EVERY, send=_text(lambda good: f"```json\n{good}\n```")),
    BadReply(name="a bare fence", roles=("rewriter", *OBJECTS), send=_text(lambda good: f"```\n{good}\n```")),
    BadReply(
        name="prose around",
        roles=OBJECTS,
        send=_text(lambda good: f"Sure, here it is:\n{good}\nI hope it helps."),
    ),
    BadReply(
        name="a think block",
        roles=EVERY,
        send=_text(lambda good: f"<think>\nIs it {{}} or 0?\n</think>\n\n{good}"),
    ),
    BadReply(
        name="a think block without its opening", roles=EVERY, send=_text(lambda good: f"Hm.</think>\n{good}")
    ),
    BadReply(
        name="an empty think block", roles=EVERY, send=_text(lambda good: f"<think>\n\n</think>\n\n{good}")
    ),
    BadReply(name="blanks around", roles=EVERY, send=_text(lambda good: f"\n\n  {good} \n")),
    BadReply(
        name="single quotes",
        roles=OBJECTS,
        send=_text(lambda good: repr(json.loads(good))),
    ),
    BadReply(name="curly quotes", roles=OBJECTS, send=_text(_curly)),
    BadReply(name="a trailing comma", roles=OBJECTS, send=_text(lambda good: f"{good[:-1]},}}")),
    BadReply(
        name="indentation", roles=OBJECTS, send=_text(lambda good: json.dumps(json.loads(good), indent=8))
    ),
    BadReply(name="a list of one", roles=OBJECTS, send=_text(lambda good: f"[{good}]")),
    BadReply(name="the same twice", roles=OBJECTS, send=_text(lambda good: f"{good}\n{good}")),
    BadReply(name="keys with blanks", roles=OBJECTS, send=_text(_keys(lambda key: key.replace("_", " ")))),
    BadReply(name="keys in lower case", roles=OBJECTS, send=_text(_keys(str.lower))),
    BadReply(
        name="numbers as texts",
        roles=("referrer", "edit_judge"),
        send=_text(lambda good: re.sub(r"([\d.]+)(?=[\],}])", r'"\1"', good)),
    ),
    BadReply(
        name="a line break in a text",
        roles=("instructor",),
        send=_text(lambda good: good.replace("side by side", "side\nby side")),
    ),
    BadReply(name="quotes", roles=("rewriter", *DIGITS), send=_text(lambda good: f'"{good}"')),
    BadReply(name="a label", roles=("rewriter",), send=_text(lambda good: f"Rewritten instruction: {good}")),
)
"""Kinds that are read as the good answer."""

SORRY = "I'm sorry, but I can't help with that."

REFUSED = (
    BadReply(name="nothing", roles=EVERY, send=_instead(""), code="empty"),
    BadReply(name="blanks alone", roles=EVERY, send=_instead(" \n\n "), code="empty"),
    BadReply(name="exclamation marks", roles=EVERY, send=_instead("!" * 120), code="degenerate"),
    BadReply(
        name="exclamation marks to the limit",
        roles=EVERY,
        send=_instead("!" * 120, "length"),
        code="degenerate",
    ),
    BadReply(
        name="blanks without end",
        roles=OBJECTS,
        send=lambda good: Answer(text=good[:8] + " " * 900, finish="length"),
        code="degenerate",
    ),
    BadReply(
        name="a phrase that goes round", roles=EVERY, send=_instead("the left cup " * 40), code="degenerate"
    ),
    BadReply(
        name="a sentence that goes round",
        roles=EVERY,
        send=_instead("The cup stands on the table beside the other cup, which is red. " * 6, "length"),
        code="degenerate",
    ),
    BadReply(
        name="the length limit",
        roles=OBJECTS,
        send=lambda good: Answer(text=good[: len(good) // 2], finish="length"),
        code="cut_off",
    ),
    BadReply(
        name="thoughts to the limit", roles=EVERY, send=_instead("<think>It may be", "length"), code="cut_off"
    ),
    BadReply(name="thoughts without end", roles=EVERY, send=_instead("<think>It may be"), code="cut_off"),
    BadReply(name="an apology", roles=EVERY, send=_instead(SORRY), code="apology", reason="refused_by_model"),
    BadReply(
        name="an apology in the object",
        roles=("instructor",),
        send=_changed(
            lambda data: data | {"Editing_Instruction": "", "Refusal": "I cannot identify people."}
        ),
        code="apology",
        reason="refused_by_model",
    ),
    BadReply(
        name="a content filter",
        roles=EVERY,
        send=_instead("", "content_filter"),
        code="content filter",
        reason="refused_by_model",
    ),
    BadReply(name="prose", roles=OBJECTS, send=_instead("It is the left cup."), code="not_json"),
    BadReply(name="null", roles=OBJECTS, send=_instead("null"), code="not_json"),
    BadReply(name="a bare list", roles=OBJECTS, send=_instead("[4.5, 3.8]"), code="not_json"),
    BadReply(
        name="two answers",
        roles=OBJECTS,
        send=_text(lambda good: f'{good}\nOr rather: {{"matches": []}}'),
        code="not_json",
    ),
    BadReply(
        name="a key too few",
        roles=OBJECTS,
        send=_changed(lambda data: dict([*data.items()][1:]) or {"a": 1}),
        code="missing_key",
    ),
    BadReply(
        name="a key too many",
        roles=OBJECTS,
        send=_changed(lambda data: data | {"Confidence": 5}),
        code="unknown_key",
    ),
    BadReply(
        name="a value of the wrong kind",
        roles=OBJECTS,
        send=_changed(lambda data: _first(data, True)),
        code="bad_value",
    ),
    BadReply(
        name="a score as a list",
        roles=("edit_judge",),
        send=_changed(lambda data: _first(data, [4.5])),
        code="bad_value",
    ),
    BadReply(
        name="a score out of ten",
        roles=("edit_judge",),
        send=_changed(lambda data: _first(data, 9)),
        code="out_of_range",
    ),
    BadReply(
        name="a score with its scale",
        roles=("edit_judge",),
        send=_changed(lambda data: _first(data, "4.5/5")),
        code="bad_value",
    ),
    BadReply(
        name="a number that was not drawn",
        roles=("referrer",),
        send=_instead('{"matches": [99]}'),
        code="out_of_range",
    ),
    BadReply(
        name="names for numbers", roles=("referrer",), send=_instead('{"matches": ["cup"]}'), code="bad_value"
    ),
    BadReply(name="yes", roles=DIGITS, send=_instead("Yes"), code="not_a_choice"),
    BadReply(name="a digit with a period", roles=DIGITS, send=_instead("1."), code="not_a_choice"),
    BadReply(
        name="a digit in a sentence", roles=DIGITS, send=_instead("The answer is 1"), code="not_a_choice"
    ),
    BadReply(name="a digit that was not asked for", roles=DIGITS, send=_instead("2"), code="not_a_choice"),
    BadReply(name="an object for a digit", roles=DIGITS, send=_instead('{"answer": 1}'), code="not_a_choice"),
    BadReply(
        name="two lines", roles=("rewriter",), send=_instead("Turn it blue.\nOr green."), code="not_one_line"
    ),
    BadReply(
        name="an object for a line",
        roles=("rewriter",),
        send=_instead('{"text": "Turn it blue."}'),
        code="not_one_line",
    ),
    BadReply(
        name="a whole story",
        roles=("rewriter",),
        send=_instead(" ".join(f"word{n}" for n in range(70))),
        code="too_long",
    ),
)
"""Kinds that nobody can read: the model is asked again with the reason, then the sample has a row with the code."""

ALL = (*MENDED, *REFUSED)
