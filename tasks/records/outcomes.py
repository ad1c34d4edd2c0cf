"""Inputs and outputs of a stage: inputs with their blobs, and one outcome per input.

The count law: every input has exactly one `Outcome`; a kept one has one or more children, each with its own reason
or none; the next stage's inputs are the kept children.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.records.errors import FAILURES, Reason, SampleError
from tasks.records.records import (
    EditedSample,
    EditPlan,
    GroundedTarget,
    Measurement,
    SourceImage,
)

STAGES = ("ingest", "grounding", "instruction", "editing", "publish")
"""Stage names, in order; the same words are used in folders, rows, Prefect and commands."""

Record = SourceImage | GroundedTarget | EditPlan | EditedSample
"""What a kept child holds: ingest makes a SourceImage, grounding a GroundedTarget, and so on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEntry:
    """One location for ingest to read; the plan holds these, relative to the source's root.

    Attributes:
        location: ``source-name/relative/path`` (for an archive member ``source-name/archive.tar/member``), in valid
            UTF-8 (other bytes are percent-encoded), unique within a plan; it is the input's id.
        source: name of the source in the configuration.
        path: path below the source's root, escaped like the location (`tasks.sources.locations.unescape` gives
            the file system's spelling), so that it can be stored as UTF-8; a list's row is named by its key.
        member: member of an archive, escaped likewise, or ``""``.
        offset, length: byte range in the file; ``length`` -1 if unknown before reading.
        version: changes whenever the bytes do (mtime and size of a file, ETag of an object).
        problem: a reason known at listing (``bad_name``, ``unreadable`` …), or ``""``.
        detail: what was found instead of a photograph, for the row of a ``problem``; ``""`` if the reason suffices.
        license: as stated for the source, ``""`` if not stated; part of the input, so that a change for one source
            leaves finished units of others unchanged.
        annotation: path below the source's root of the file with its masks (SA-1B), or ``""``.
        annotation_offset, annotation_length: byte range in that file; length -1: the whole file.
    """

    location: str
    source: str
    path: str
    member: str
    offset: int
    length: int
    version: str
    problem: str
    license: str = ""
    annotation: str = ""
    annotation_offset: int = 0
    annotation_length: int = -1
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRef:
    """Where a blob lies: object path below the dataset, byte range, SHA-256 (hex) of those bytes."""

    path: str
    offset: int
    length: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Bytes to be stored beside a child, under ``<child id>.<name>`` in the unit's tar."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StageInput:
    """One input of a stage: a kept child of the stage before (or a source entry for ingest).

    ``blobs`` are those of the child and of all its ancestors, by name (``source.jpg``, ``mask.png`` …).
    """

    id: str
    record: Record | SourceEntry
    blobs: Mapping[str, BlobRef]


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """The outcome of (part of) an input. ``reason`` None means kept.

    A rejected child keeps its record if there is one, so that the gallery can show it; its blobs are stored only if
    ``blobs`` is not empty.

    Attributes:
        detail: explanation beyond the reason; ``""`` if ``measured`` suffices.
        measured: the numbers behind the reason.
        answers: keys of the kept answers it depends on.
    """

    id: str
    record: Record | None
    reason: Reason | None = None
    detail: str = ""
    blobs: tuple[Blob, ...] = ()
    measured: tuple[Measurement, ...] = ()
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The single outcome of one input: kept with children, or ended with a reason and none.

    ``detail``, ``measured`` and ``answers`` are those of `Child`.
    """

    input_id: str
    reason: Reason | None = None
    detail: str = ""
    children: tuple[Child, ...] = ()
    measured: tuple[Measurement, ...] = ()
    answers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.reason is None) != bool(self.children):
            msg = f"{self.input_id}: expected children if kept and none if ended (reason {self.reason})"
            raise ValueError(msg)


def ended_child(
    child_id: str, error: SampleError, record: Record | None = None, blobs: tuple[Blob, ...] = ()
) -> Child:
    """The child that ended with this error, with its record and blobs so far."""
    return Child(
        id=child_id,
        record=record,
        reason=error.reason,
        detail=error.detail,
        measured=error.measured,
        blobs=blobs,
    )


def ended(input_id: str, error: SampleError) -> Outcome:
    """The outcome of an input that ended with this error."""
    return Outcome(input_id=input_id, reason=error.reason, detail=error.detail, measured=error.measured)


def verdict(reason: Reason | None) -> str:
    """``kept``, ``rejected`` or ``failed``, as in rows and tables."""
    if reason is None:
        return "kept"
    return "failed" if reason in FAILURES else "rejected"


class PixelReader(Protocol):
    """Reads blobs, checks their digests and caches them; a wrong digest is `SampleError(SOURCE_CHANGED)`."""

    def data(self, ref: BlobRef) -> bytes:
        """The blob's bytes."""
        ...

    def rgb(self, ref: BlobRef) -> NDArray[np.uint8]:
        """The blob decoded as (H, W, 3) uint8 RGB (read-only array, shared while the unit is running)."""
        ...
