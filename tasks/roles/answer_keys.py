"""The key of a kept answer: a digest of all that can change it, and of nothing else."""

from __future__ import annotations

from typing import Any

from tasks.records.canonical import digest_of
from tasks.records.records import ModelIdentity
from tasks.roles.answer_codec import plain
from tasks.roles.backends import BackendChoice
from tasks.roles.placement import ServedModel
from tasks.roles.questions import Question

KEY_FORMAT = 1
"""Raised when keys are made differently; every answer kept under an older one is asked for again."""

_NO_WEIGHTS = ("", "none", "unstated")
"""Digests that name no weights: the revision stands for them."""


def answer_key(choice: BackendChoice, served: ServedModel | None, question: Question) -> str:
    """The key (64 hex digits) under which the answer to ``question`` is kept.

    Equal keys: the model would be asked the same, so a stored answer is used instead. The key holds role, backend, its
    ``wire``, model and weights, the options that the backend declares as `Backend.answering`, the served model, what is
    sent (texts as they are sent, pictures by recipe), seed and attempt. It holds no ids, no addresses and placements,
    no thresholds applied afterwards, no versions of libraries, schemas or steps, and no prompt files: their words are
    in what is sent.

    Args:
        choice: who is asked.
        served: the model behind the server that is asked, None for a model of our own process or pool.
        question: with its pictures' recipes; no pixel is looked at.

    Raises:
        ValueError: what is sent holds something that JSON cannot (NaN).
    """
    return digest_of(key_material(choice, served, question))


def key_material(choice: BackendChoice, served: ServedModel | None, question: Question) -> dict[str, Any]:
    """What `answer_key` hashes, as JSON values."""
    options = choice.options.model_dump(mode="json", include=set(choice.backend.answering))
    return {
        "format": KEY_FORMAT,
        "role": choice.role,
        "backend": choice.name,
        "wire": choice.backend.wire,
        "model": _model(choice.identity),
        "options": options,
        "served": None if served is None else served.model_dump(mode="json"),
        "sent": plain(choice.backend.sent(choice.options, question)),
        "seed": plain(question.seed),
        "attempt": plain(question.attempt),
    }


def _model(identity: ModelIdentity) -> dict[str, str]:
    # Weights that are known by digest are the same under another package version, which is not the model.
    known = identity.digest not in _NO_WEIGHTS
    return {"id": identity.model, "weights": identity.digest if known else identity.revision}
