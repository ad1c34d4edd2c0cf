"""Requests to servers and their replies, without HTTP: what a served backend writes and reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any

from tasks.records.errors import GroundEditError


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPicture:
    """A picture as it is sent: encoded bytes, their media type, and the recipe that names it in the key."""

    data: bytes
    media_type: str
    recipe: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRequest:
    """What all requests have; the class says by which route of the API it goes (`tasks.roles.wires`).

    Attributes:
        seed: of this question.
        again: sentence for a retry, with ``$reason`` in it, from a prompt file; empty: put again without words.
        reasons: sentence for each code of `BadReply`, from the same file; `repeated` puts one into ``again``.
        context: small values that `ServedBackend.read` needs (how many objects there are, …), JSON values.
    """

    seed: int
    again: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)

    def repeated(self, bad: BadReply) -> str:
        """What the model is told after a bad reply."""
        reason = self.reasons.get(bad.code, bad.code)
        told = f"{reason} ({bad.detail})" if bad.detail else reason
        return Template(self.again).safe_substitute(reason=told)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest(ServedRequest):
    """One user turn.

    Attributes:
        parts: texts and pictures in their order.
        sampling: temperature, top_p, max_tokens … as the server's API spells them; nothing is left to its defaults.
        schema: JSON schema of the reply, ``None`` for free text.
        choices: words of which the reply is one, or each value of its object; their log-probabilities are asked for.
            Empty: no choice.
    """

    parts: tuple[str | ChatPicture, ...]
    sampling: Mapping[str, Any]
    schema: Mapping[str, Any] | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatReply:
    """What a server sent back.

    Attributes:
        text: the whole reply.
        finish: the server's finish reason (``stop``, ``length``, ``content_filter``).
        places: for each token that is one of the request's choices, in order, the log-probabilities of its alternatives
            by token text; empty where none were asked for or the server gives none.
        model: name the server gives itself.
    """

    text: str
    finish: str = "stop"
    places: tuple[Mapping[str, float], ...] = ()
    model: str = ""


class BadReply(GroundEditError):
    """A reply that no parser accepts.

    Args:
        code: short and closed per backend (``not_json``, ``missing_key``, ``cut_off``, ``not_a_choice``).
        detail: what exactly, deterministic and without the reply's own words.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail

    def __reduce__(self) -> tuple[type[BadReply], tuple[str, str]]:
        """Travels between processes with its code."""
        return type(self), (self.code, self.detail)
