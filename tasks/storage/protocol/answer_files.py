"""A kept answer as an object: its path, and a tar of sealed JSON and blobs in which every byte is checked.

    answers/<aa>/<sid>/<role>-<first 24 digits of the key>.r<round>.tar
        answer.json   the answer, sealed with its own SHA-256; holds the SHA-256 of each blob
        answer.png    an image, if the answer is one
        reply.txt     a server's full reply, if a server answered

`tasks.roles.answer_codec` defines the JSON of an answer.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from tasks.records.canonical import seal, sha256_hex, unseal
from tasks.records.errors import DataFault
from tasks.records.outcomes import BlobRef
from tasks.storage.objects.unit_tar import TarMember, pack
from tasks.storage.protocol.layout import ANSWERS, answers_folder

FORMAT = 1
"""Raised when the JSON of answers changes; older formats stay readable."""

JSON = "answer.json"
KEY_DIGITS = 24
"""Digits of the key in a file's name; the full key is inside the file."""

_NAME = re.compile(
    rf"{ANSWERS}/(?P<aa>..)/(?P<sid>[a-z0-9]{{2,64}})/(?P<role>[a-z_]+)-(?P<key>[0-9a-f]{{{KEY_DIGITS}}})"
    r"\.r(?P<round>0|[1-9]\d{0,5})\.tar"
)


class Kind(StrEnum):
    """The outcome of a question."""

    ANSWER = "answer"
    REFUSED = "refused"
    """There was a reply that no parser accepts, or the model declined, which is a rejection."""
    FAILED = "failed"
    """There was no reply: crash, timeout, memory, an error of the backend. Kept only for replays."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class AnswerName:
    """What a path says about its answer; ``key24`` holds the first digits of the key."""

    sid: str
    role: str
    key24: str
    round: int

    @property
    def path(self) -> str:
        """Path of the answer below the dataset."""
        return f"{answers_folder(self.sid)}/{self.role}-{self.key24}.r{self.round}.tar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Circumstances of an answer; they do not change it and are not part of its key.

    Attributes:
        at: when it was stored.
        run: name of the pool or server in the configuration, never an address.
    """

    at: datetime
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFile:
    """A kept answer, unpacked.

    Attributes:
        key: 64 hex digits (`tasks.roles.answer_keys`).
        answer: JSON value of an ``answer``, None for the other kinds.
        reason: value of a `Reason` for the other kinds; ``detail`` and ``measured`` as in rows.
        note: further text about an error, for people; never in a row.
        reply: what a server sent beside its text: finish reason, model name, log-probabilities.
        blobs: the other members, by name.
    """

    sid: str
    role: str
    key: str
    round: int
    kind: Kind
    asked: Asked
    answer: Any = None
    reason: str = ""
    detail: str = ""
    measured: Sequence[Mapping[str, Any]] = ()
    note: str = ""
    reply: Mapping[str, Any] = field(default_factory=dict)
    blobs: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def name(self) -> AnswerName:
        """The parts of its path."""
        return AnswerName(sid=self.sid, role=self.role, key24=self.key[:KEY_DIGITS], round=self.round)

    @property
    def path(self) -> str:
        """Its path below the dataset."""
        return self.name.path


def answer_name(path: str) -> AnswerName | None:
    """Parses a path; None if no answer can be stored there."""
    match = _NAME.fullmatch(path)
    if match is None or not match["sid"].startswith(match["aa"]):
        return None
    return AnswerName(sid=match["sid"], role=match["role"], key24=match["key"], round=int(match["round"]))


def answer_bytes(file: AnswerFile) -> bytes:
    """The answer as a tar; equal answers have equal bytes.

    Raises:
        ValueError: a number that JSON, or a name or blob that a tar, cannot represent.
    """
    return _packed(file)[0]


def blob_refs(file: AnswerFile) -> dict[str, BlobRef]:
    """Where each blob of a kept answer lies, for rows that refer to it instead of storing it again."""
    return {
        m.name: BlobRef(path=file.path, offset=m.offset, length=m.length, sha256=m.sha256)
        for m in _packed(file)[1]
        if m.name != JSON
    }


def _packed(file: AnswerFile) -> tuple[bytes, tuple[TarMember, ...]]:
    content = {
        "format": FORMAT,
        "sid": file.sid,
        "role": file.role,
        "key": file.key,
        "round": file.round,
        "kind": file.kind.value,
        "asked": {"at": file.asked.at.isoformat(), "run": file.asked.run},
        "answer": file.answer,
        "reason": file.reason,
        "detail": file.detail,
        "measured": list(file.measured),
        "note": file.note,
        "reply": dict(file.reply),
        "blobs": {name: sha256_hex(data) for name, data in file.blobs.items()},
    }
    return pack([(JSON, seal(content)), *sorted(file.blobs.items())])


def answer_from(data: bytes, path: str) -> AnswerFile:
    """Reads an answer written by `answer_bytes`.

    Raises:
        DataFault: ``path`` is damaged, has an unknown format, or holds the answer of another path.
    """
    members = _members(data, path)
    body = unseal(members.pop(JSON, b""), path)
    if body.get("format") != FORMAT:
        msg = f"{path}: unknown format {body.get('format')!r} of kept answers (available: {FORMAT})"
        raise DataFault(msg)
    try:
        file = AnswerFile(
            sid=body["sid"],
            role=body["role"],
            key=body["key"],
            round=body["round"],
            kind=Kind(body["kind"]),
            asked=Asked(at=datetime.fromisoformat(body["asked"]["at"]), run=body["asked"]["run"]),
            answer=body["answer"],
            reason=body["reason"],
            detail=body["detail"],
            measured=tuple(body["measured"]),
            note=body["note"],
            reply=body["reply"],
            blobs=members,
        )
        sums = dict(body["blobs"])
        name = file.path
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{path}: not an answer of the expected shape ({error})"
        raise DataFault(msg) from error
    # The JSON's digest covers itself and the blobs; names, headers and padding of the tar follow from both.
    if sums != {blob: sha256_hex(held) for blob, held in members.items()} or answer_bytes(file) != data:
        msg = f"{path}: bytes do not match their own digest"
        raise DataFault(msg)
    if name != path:
        msg = f"{path}: holds the answer of {name}"
        raise DataFault(msg)
    return file


def _members(data: bytes, path: str) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for info in tar:
                stream = tar.extractfile(info)
                members[info.name] = b"" if stream is None else stream.read()
    except (tarfile.TarError, EOFError, ValueError, OSError) as error:
        msg = f"{path}: not a readable tar ({error})"
        raise DataFault(msg) from error
    return members
