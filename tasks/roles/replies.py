"""What a model wrote, cleaned by rule and read strictly: JSON objects, single words, one line of text.

The rules mend what models do to a right answer (code fences, prose around it, single quotes, trailing commas, a think
block before it, keys spelled with blanks). What is left must fit exactly. Codes of `BadReply` raised here:

    empty         nothing but blanks              missing_key    a key of the object is not there
    degenerate    "!!!!", a phrase over and over  unknown_key    a key that was not asked for
    cut_off       ended by the length limit       bad_value      a value of the wrong kind, empty or too long
    apology       declined in its own words       out_of_range   a number outside its range
    not_json      no JSON object can be read      not_a_choice   none of the words allowed
    not_one_line  a text that is no single line   too_long       more words than an instruction has
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import json_repair
from pydantic import BaseModel, ValidationError

from prompts import load_data
from tasks.records.errors import Reason, SampleError
from tasks.roles.chat import BadReply, ChatReply

CODES = (
    "empty",
    "degenerate",
    "cut_off",
    "apology",
    "not_json",
    "missing_key",
    "unknown_key",
    "bad_value",
    "out_of_range",
    "not_a_choice",
    "not_one_line",
    "too_long",
)
"""All codes; each has a sentence in ``prompts/again.md``."""

APOLOGIES = "apologies"
"""Word list of openings with which models decline."""

MAX_INSTRUCTION_WORDS = 60
"""A longer instruction is a description, or two edits."""

EQUAL_RUN = 20
"""More equal characters in a row than this are an overflow of the model's numbers, not writing."""

PHRASE_WORDS, PHRASE_TIMES = 4, 6
"""The same four words so often in a row of each other are a loop."""

_THINK = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_FENCE = re.compile(r"^\s*```[a-zA-Z]*\s*\n?(.*?)\n?\s*```\s*$", re.DOTALL)
_EQUAL = re.compile(rf"([^\s])\1{{{EQUAL_RUN},}}")
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'"})

Model = TypeVar("Model", bound=BaseModel)


def written(reply: ChatReply) -> str:
    """The reply's text without think block, code fence and blanks around it.

    Raises:
        SampleError: `REFUSED_BY_MODEL` when the server's content filter ended the reply.
        BadReply: ``cut_off``, ``empty`` or ``degenerate``.
    """
    if reply.finish == "content_filter":
        raise SampleError(Reason.REFUSED_BY_MODEL, "content filter")
    if reply.finish == "length":
        raise BadReply("cut_off", "length limit")
    text = _THINK.sub("", reply.text, count=1).strip()
    if text.startswith("<think>"):
        raise BadReply("cut_off", "within its thoughts")
    fenced = _FENCE.match(text)
    text = (fenced.group(1) if fenced else text).strip()
    if not text:
        raise BadReply("empty")
    if _EQUAL.search(text):
        raise BadReply("degenerate", f"more than {EQUAL_RUN} equal characters")
    if _loops(text.lower().split()):
        raise BadReply("degenerate", "a phrase that goes round")
    return text


def json_object(reply: ChatReply) -> dict[str, Any]:
    """The one JSON object of a reply, read strictly or, failing that, mended by rule.

    Raises:
        SampleError, BadReply: as `written`; ``apology`` or ``not_json``.
    """
    text = written(reply)
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        raise BadReply("apology" if is_apology(text) else "not_json", "no object in the reply")
    text = text[start : end + 1]
    try:
        data = json.loads(text)
    except ValueError:
        data = json_repair.loads(text, skip_json_loads=True)
    if not isinstance(data, dict) or not data:
        raise BadReply("not_json", "no object in the reply")
    return data


def fitted(data: Mapping[str, Any], model: type[Model]) -> Model:
    """``data`` as ``model``; keys count as equal when their letters and digits are.

    Raises:
        BadReply: ``missing_key``, ``unknown_key``, ``out_of_range`` or ``bad_value``, with the dotted key.
    """
    try:
        return model.model_validate(_respelled(data, model))
    except ValidationError as error:
        first = error.errors()[0]
        codes = {"missing": "missing_key", "extra_forbidden": "unknown_key"}
        ranges = ("greater_than_equal", "less_than_equal", "finite_number")
        code = codes.get(first["type"], "out_of_range" if first["type"] in ranges else "bad_value")
        # A key that nobody asked for is the reply's own word and stays out of the detail.
        path = first["loc"][:-1] if code == "unknown_key" else first["loc"]
        raise BadReply(code, ".".join(str(part) for part in path)) from error


def chosen(reply: ChatReply, choices: Sequence[str]) -> str:
    """The choice that the reply consists of; ended by the length limit or not.

    Raises:
        SampleError, BadReply: as `written`; ``apology`` or ``not_a_choice``.
    """
    word = _THINK.sub("", reply.text, count=1).strip().strip("\"'`")
    if word in choices:
        return word
    text = written(reply)
    raise BadReply("apology" if is_apology(text) else "not_a_choice", f"expected {' or '.join(choices)}")


def share_of(choice: str, choices: Sequence[str], logprobs: Mapping[str, float]) -> float | None:
    """Probability 0..1 of ``choice`` among ``choices``, the rest of the vocabulary left out.

    Servers report log-probabilities of the unconstrained model, so they are made to sum to 1 over what was allowed.
    ``None`` when no choice is among the alternatives.
    """
    weights = dict.fromkeys(choices, 0.0)
    for token, logprob in logprobs.items():
        word = token.strip(" \"'`▁Ġ\n")
        if word in weights and not math.isnan(logprob):
            weights[word] += math.exp(min(logprob, 0.0))
    total = sum(weights.values())
    return weights[choice] / total if total > 0 else None


def one_line(text: str) -> str:
    """``text`` with every run of white space made one blank."""
    return " ".join(text.split())


def is_apology(text: str) -> bool:
    """Whether a text begins as models begin when they decline."""
    openings = tuple(load_data(APOLOGIES)["openings"])
    return text.translate(_APOSTROPHES).lower().lstrip("\"'* ").startswith(openings)


def _loops(words: Sequence[str]) -> bool:
    """Whether any run of `PHRASE_WORDS` words follows itself `PHRASE_TIMES` times (shorter loops included)."""
    span = PHRASE_WORDS * PHRASE_TIMES
    for period in range(1, PHRASE_WORDS + 1):
        run = 0
        for i in range(period, len(words)):
            run = run + 1 if words[i] == words[i - period] else 0
            if run >= span - period:
                return True
    return False


def _respelled(data: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """``data`` with each key spelled as the model has it, in nested objects, too."""
    fields = {
        _letters(field.alias or name): (field.alias or name, field)
        for name, field in model.model_fields.items()
    }
    result: dict[str, Any] = {}
    for key, value in data.items():
        name, field = fields.get(_letters(key), (key, None))
        inner = field.annotation if field is not None else None
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, BaseModel):
            value = _respelled(value, inner)  # noqa: PLW2901
        result[key if name in result else name] = value
    return result


def _letters(key: str) -> str:
    return "".join(c for c in key.lower() if c.isalnum())
