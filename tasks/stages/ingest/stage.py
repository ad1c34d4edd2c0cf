"""The stage ``ingest``: bytes of each location in, its working source and record out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from tasks.imaging.pixels import fingerprint
from tasks.records.errors import Reason, SampleError
from tasks.records.outcomes import Blob, Child, Outcome, PixelReader, SourceEntry, StageInput, ended
from tasks.records.records import MaskHint, ModelIdentity, SourceImage
from tasks.sources.formats import suffix_agrees
from tasks.sources.reading import SourceReader, source_id
from tasks.sources.sa1b import MAX_ANNOTATION_BYTES, parse_annotations
from tasks.sources.settings import IngestSettings, SourceSettings
from tasks.sources.working_source import make_working_source

STEP_VERSIONS = {"working_source": 1, "fingerprint": 1, "annotations": 1}
"""A step's number is raised when its code changes what comes out; part of the stage's configuration digest."""

SOURCE_BLOB = "source.jpg"
"""Name of the working source beside its row."""


class IngestStage:
    """Reads, checks and cleans photographs; one child an input, its id the sid."""

    def __init__(self, sources: Sequence[SourceSettings], settings: IngestSettings) -> None:
        self._reader = SourceReader(sources)
        self._settings = settings

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        """Ingest asks no model."""
        return ()

    def process(self, inputs: Sequence[StageInput], pixels: PixelReader) -> list[Outcome]:
        """One outcome an input, in order; ``pixels`` isn't used, since originals lie outside the store."""
        return [self._outcome(item) for item in inputs]

    def _outcome(self, item: StageInput) -> Outcome:
        if not isinstance(item.record, SourceEntry):
            msg = f"{item.id}: ingest takes source entries, not {type(item.record).__name__}"
            raise TypeError(msg)
        try:
            return Outcome(input_id=item.id, children=(self._child(item.record),))
        except SampleError as error:
            return ended(item.id, error)

    def _child(self, entry: SourceEntry) -> Child:
        if entry.problem:
            raise SampleError(Reason(entry.problem), entry.detail or "found when the source was listed")
        data = self._reader.data(entry, self._settings.max_bytes)
        sid = source_id(data)
        working = make_working_source(data, self._settings)
        height, width = working.rgb.shape[:2]
        name = entry.member or entry.path
        mislabelled = () if suffix_agrees(name, working.original_format) else ("mislabelled",)
        hints, hint_actions = self._hints(entry, width, height, turned="turned" in working.actions)
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
        self, entry: SourceEntry, width: int, height: int, *, turned: bool
    ) -> tuple[tuple[MaskHint, ...], tuple[str, ...]]:
        """Masks that came along, in the working source's frame; a damaged annotation costs only the hints."""
        if not entry.annotation:
            return (), ()
        if turned:
            return (), ("annotation_dropped",)  # whose masks might be in either frame
        try:
            data = self._reader.annotation(entry, MAX_ANNOTATION_BYTES)
            return parse_annotations(data, width, height), ()
        except (SampleError, ValueError):
            return (), ("annotation_unusable",)
