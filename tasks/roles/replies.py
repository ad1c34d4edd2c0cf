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
from contextlib import suppress
from typing import Any, TypeVar

import json_repair
from pydantic import BaseModel, ValidationError

from prompts import load_data
from tasks.records.errors import Reason, SampleError
from tasks.roles.chat import BadReply, ChatReply
from tasks.roles.reply_text import bare, endless, is_unfinished_thought, without_thoughts

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

_AROUND_WORD = " \n\t\"'`"
_FENCE = re.compile(r"^\s*```[a-zA-Z]*\s*\n?(.*?)\n?\s*```\s*$", re.DOTALL)
_CURLY = str.maketrans({"“": '"', "”": '"'})
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
    text = without_thoughts(reply.text)
    # A loop is ended by the length limit as well, but the model shall be told what was wrong.
    loop = endless(text)
    if loop:
        raise BadReply("degenerate", loop)
    if reply.finish == "length":
        raise BadReply("cut_off", "length limit")
    if is_unfinished_thought(text):
        raise BadReply("cut_off", "within its thoughts")
    fenced = _FENCE.match(text)
    text = (fenced.group(1) if fenced else text).strip()
    if not text:
        raise BadReply("empty")
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
    found = _objects(text[start : end + 1])
    if not found:
        raise BadReply("not_json", "no object in the reply")
    if any(other != found[0] for other in found[1:]):
        raise BadReply("not_json", "several objects that differ")
    return found[0]


def _objects(text: str) -> list[dict[str, Any]]:
    """The objects in a text that begins with one: read strictly, with straight quotes for curly ones, or mended."""
    found = _strict_objects(text) or _strict_objects(text.translate(_CURLY))
    if not found:
        mended = json_repair.loads(text, skip_json_loads=True)
        found = mended if isinstance(mended, list) else [mended]
    return [item for item in found if isinstance(item, dict) and item]


def _strict_objects(text: str) -> list[Any]:
    """The objects from the beginning on, up to a brace that begins none."""
    found: list[Any] = []
    start = 0
    with suppress(ValueError):
        while start >= 0:
            data, end = json.JSONDecoder().raw_decode(text, start)
            found.append(data)
            start = text.find("{", end)
    return found


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
    # A digit that the length limit ended is whole nevertheless.
    word = without_thoughts(reply.text).strip(_AROUND_WORD)
    if word in choices:
        return word
    text = written(reply)
    if text.strip(_AROUND_WORD) in choices:
        return text.strip(_AROUND_WORD)
    raise BadReply("apology" if is_apology(text) else "not_a_choice", f"expected {' or '.join(choices)}")


def share_of(choice: str, choices: Sequence[str], logprobs: Mapping[str, float]) -> float | None:
    """Probability 0..1 of ``choice`` among ``choices``, the rest of the vocabulary left out.

    Servers report log-probabilities of the unconstrained model, so they are made to sum to 1 over what was allowed. A
    choice that is not among the alternatives, of which servers list 20 at most, counts as impossible.
    ``None`` when no choice is among the alternatives.
    """
    weights = dict.fromkeys(choices, 0.0)
    for token, logprob in logprobs.items():
        word = bare(token)
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
