"""Ingest: converts the photograph at each location to its working source."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from tasks.imaging.pixels import fingerprint
from tasks.records.errors import Reason, SampleError
from tasks.records.outcomes import Blob, Child, Outcome, SourceEntry, StageInput
from tasks.records.records import MaskHint, SourceImage
from tasks.sources.actions import Action
from tasks.sources.formats import suffix_agrees
from tasks.sources.reading import SourceReader, source_id
from tasks.sources.sa1b import MAX_ANNOTATION_BYTES, parse_annotations
from tasks.sources.settings import IngestSettings
from tasks.sources.working_source import make_working_source
from tasks.stages.config import BuildConfig
from tasks.stages.sample_stage import SampleStage, Workbench

STEP_VERSIONS = {"working_source": 2, "fingerprint": 1, "annotations": 2}
"""Increase a step's version when its code changes its results, so that finished units are not reused."""

SOURCE_BLOB = "source.jpg"
"""Name of the working source beside its row."""


def build(config: BuildConfig, asks: Mapping[str, Any], digests: Mapping[str, str]) -> SampleStage:
    """Builds the stage from a configuration; it asks no role."""
    del asks, digests
    return partial(ingest, reader=SourceReader(config.sources), settings=config.ingest)


async def ingest(
    item: StageInput, bench: Workbench, *, reader: SourceReader, settings: IngestSettings
) -> Outcome:
    """Converts one location (`SourceEntry`) to its working source; the single child's id is the sid.

    Raises:
        SampleError: why this is not a usable photograph.
    """
    if not isinstance(item.record, SourceEntry):
        raise TypeError(f"{item.id}: ingest takes SourceEntry, got {type(item.record).__name__}")
    child = await bench.cpu(_child, item.record, reader, settings)
    return Outcome(input_id=item.id, children=(child,))


def _child(entry: SourceEntry, reader: SourceReader, settings: IngestSettings) -> Child:
    if entry.problem:
        raise SampleError(Reason(entry.problem), entry.detail or "found when the source was listed")
    data = reader.data(entry, settings.max_bytes)
    sid = source_id(data)
    working = make_working_source(data, settings)
    height, width = working.rgb.shape[:2]
    name = entry.member or entry.path
    mislabelled = () if suffix_agrees(name, working.original_format) else (Action.MISLABELLED.value,)
    turned = Action.TURNED.value in working.actions
    hints, hint_actions = _hints(entry, reader, width, height, turned=turned)
    record = SourceImage(
        sid=sid,
        location=entry.location,
        sha256=hashlib.sha256(data).hexdigest(),
        working_sha256=hashlib.sha256(working.jpeg).hexdigest(),
        width=width,
        height=height,
        original_format=working.original_format,
        actions=(*mislabelled, *working.actions, *hint_actions),
        license=entry.license or f"unstated ({entry.source})",
        hints=hints,
        fingerprint=fingerprint(working.rgb),
    )
    return Child(id=sid, record=record, blobs=(Blob(name=SOURCE_BLOB, data=working.jpeg),))


def _hints(
    entry: SourceEntry, reader: SourceReader, width: int, height: int, *, turned: bool
) -> tuple[tuple[MaskHint, ...], tuple[str, ...]]:
    """Shipped masks, in the working source's frame; a damaged one, or a damaged file, costs the hints alone."""
    if not entry.annotation:
        return (), ()
    if turned:
        return (), (Action.ANNOTATION_DROPPED.value,)  # its masks might be in either frame
    try:
        found = parse_annotations(reader.annotation(entry, MAX_ANNOTATION_BYTES), width, height)
    except (SampleError, ValueError):
        return (), (Action.ANNOTATION_UNUSABLE.value,)
    if found.dropped and not found.hints:
        return (), (Action.ANNOTATION_UNUSABLE.value,)
    return found.hints, (Action.ANNOTATION_MASKS_DROPPED.value,) if found.dropped else ()
