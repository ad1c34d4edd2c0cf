"""One kept answer: what was given for a question, as it is stored and as it is read again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tasks.records.errors import FAILURES, DataFault, Reason, SampleError
from tasks.records.outcomes import BlobRef
from tasks.records.records import Measurement
from tasks.roles.answer_codec import decode_answer, encode_answer, measurements_from, spell_measurements
from tasks.roles.chat import ChatReply
from tasks.roles.questions import Answer
from tasks.roles.scrubbing import scrub
from tasks.storage.protocol.answer_files import AnswerFile, Asked, Kind, blob_refs

REPLY_BLOB = "reply.txt"
"""Blob with a server's whole reply."""

_FAILURES = frozenset(reason.value for reason in FAILURES)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """A question that got none.

    Attributes:
        kind: ``refused`` where a reply came that no parser accepts, ``failed`` where nobody could reply.
        reason, detail, measured: of the sample's row; deterministic, without addresses and the reply's own words.
        note: the error's own text, for people; kept scrubbed and cut.
    """

    kind: Kind
    reason: Reason
    detail: str = ""
    measured: tuple[Measurement, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """A stored answer; ``value`` is None for the kinds that hold none."""

    file: AnswerFile
    value: Answer | None

    @property
    def key(self) -> str:
        """Its key, 64 hex digits."""
        return self.file.key

    @property
    def kind(self) -> Kind:
        """What became of the question."""
        return self.file.kind

    @property
    def final(self) -> bool:
        """An answer, or a rejection by whoever was asked; what failed is asked again by the next build."""
        return self.kind is Kind.ANSWER or self.file.reason not in _FAILURES

    @property
    def blobs(self) -> dict[str, BlobRef]:
        """Its blobs (``answer.png``), to be referred to instead of stored again."""
        return blob_refs(self.file)

    @property
    def reply(self) -> ChatReply | None:
        """The server's reply, where a server answered."""
        if REPLY_BLOB not in self.file.blobs:
            return None
        kept = self.file.reply
        # Replies stored by earlier versions hold the first token's alternatives alone.
        places = kept["places"] if "places" in kept else [kept["logprobs"]]
        return ChatReply(
            text=self.file.blobs[REPLY_BLOB].decode("utf-8", errors="surrogatepass"),
            finish=kept["finish"],
            places=tuple(
                {token: float(value) for token, value in likely.items()} for likely in places if likely
            ),
            model=kept["model"],
        )

    def unwrap(self) -> Answer:
        """The answer.

        Raises:
            SampleError: there is none; with the reason that was stored.
            DataFault: the stored reason is unknown.
        """
        if self.value is not None:
            return self.value
        try:
            reason, measured = Reason(self.file.reason), measurements_from(self.file.measured)
        except (ValueError, TypeError) as error:
            msg = f"{self.file.path}: no reason that is known here ({error})"
            raise DataFault(msg) from error
        raise SampleError(reason, self.file.detail, measured)


def opened(file: AnswerFile) -> KeptAnswer:
    """A stored answer with its value decoded. Raises `DataFault` when it is no answer of its role."""
    if file.kind is not Kind.ANSWER:
        return KeptAnswer(file=file, value=None)
    return KeptAnswer(file=file, value=decode_answer(file.role, file.answer, file.blobs, file.path))


def answer_file(
    sid: str,
    role: str,
    key: str,
    round_: int,
    given: Answer | NoAnswer,
    run: str,
    reply: ChatReply | None,
) -> AnswerFile:
    """What was given for a question, as it is stored."""
    said: Mapping[str, Any] = {}
    blobs: dict[str, bytes] = {}
    if reply is not None:
        blobs[REPLY_BLOB] = reply.text.encode("utf-8", errors="surrogatepass")
        said = {
            "finish": reply.finish,
            "model": reply.model,
            "places": [{token: _number(value) for token, value in likely.items()} for likely in reply.places],
        }
    asked = Asked(at=datetime.now(UTC), run=run)
    if isinstance(given, NoAnswer):
        return AnswerFile(
            sid=sid,
            role=role,
            key=key,
            round=round_,
            kind=given.kind,
            asked=asked,
            reason=given.reason.value,
            detail=given.detail,
            measured=spell_measurements(given.measured),
            note=scrub(given.note),
            reply=said,
            blobs=blobs,
        )
    encoded = encode_answer(role, given)
    return AnswerFile(
        sid=sid,
        role=role,
        key=key,
        round=round_,
        kind=Kind.ANSWER,
        asked=asked,
        answer=encoded.value,
        reply=said,
        blobs={**blobs, **encoded.blobs},
    )


def _number(value: float) -> float | str:
    # A token that cannot come has the log-probability -inf, which JSON has no number for.
    return float(value) if math.isfinite(value) else str(float(value))
