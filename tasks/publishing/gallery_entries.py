"""What the gallery shows of one accepted or rejected sample, ready for the templates."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.geometry import from_rle
from tasks.outcomes import BlobRef, PixelReader, Record, SourceEntry
from tasks.publishing.gallery_pictures import cut, encode, fit, fit_crop, mark, sample_pictures
from tasks.publishing.shard_format import SampleMeta
from tasks.records import (
    Box,
    EditedSample,
    EditPlan,
    GroundedTarget,
    Measurement,
    Rle,
    SourceImage,
)

CAPTIONS = {
    "source": "Photograph",
    "grounded": "Target (visual grounding)",
    "edited": "Edited",
    "before": "Crop before",
    "after": "Crop after",
    "difference": "Difference × 4, allowed region in blue",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A sample of the release and where its pictures lie."""

    meta: SampleMeta
    blobs: Mapping[str, BlobRef]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """An input or child that ended, with what is known of it.

    ``record`` is its own, or else its parent's (what the stage was given); ``blobs`` those of both.
    """

    stage: str
    id: str
    reason: str
    verdict: str
    detail: str
    record: Record | SourceEntry | None
    blobs: Mapping[str, BlobRef]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A picture of a page: file name below the gallery's folder, bytes of the JPEG, and words."""

    name: str
    caption: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedView:
    """What the page of accepted samples needs."""

    meta: SampleMeta
    figures: tuple[Figure, ...]
    changed_outside: int
    changed_inside: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedView:
    """What the page of rejected samples needs; ``gates`` are all that were measured, the failing ones first."""

    entry: Rejected
    location: str
    label: str
    edit_type: str
    instruction: str
    instruction_before: str
    figures: tuple[Figure, ...]
    gates: tuple[Measurement, ...]


def view_accepted(entry: Accepted, pixels: PixelReader) -> AcceptedView:
    """Decode the three pictures once and draw the rest from them."""
    meta = entry.meta
    source, grounded, edited = (
        pixels.rgb(entry.blobs[n]) for n in ("source.jpg", "grounded.jpg", "edited.png")
    )
    height, width = meta.allowed_region.size
    allowed = from_rle(Rle(height=height, width=width, counts=meta.allowed_region.counts))
    x0, y0, x1, y1 = meta.crop
    pictures = sample_pictures(source, grounded, edited, Box(x0=x0, y0=y0, x1=x1, y1=y1), allowed)
    return AcceptedView(
        meta=meta,
        figures=tuple(
            Figure(name=f"pictures/{meta.key}-{name}.jpg", caption=CAPTIONS[name], data=data)
            for name, data in pictures.jpegs
        ),
        changed_outside=pictures.changed_outside,
        changed_inside=pictures.changed_inside,
    )


def view_rejected(entry: Rejected, pixels: PixelReader) -> RejectedView:
    """What can be shown of something refused: as many pictures and gates as it got to."""
    record = entry.record
    sample = record if isinstance(record, EditedSample) else None
    plan = sample.plan if sample else record if isinstance(record, EditPlan) else None
    target = plan.target if plan else record if isinstance(record, GroundedTarget) else None
    source = target.scene.source if target else record if isinstance(record, SourceImage) else None
    gates = _gates(target, plan, sample)
    return RejectedView(
        entry=entry,
        location=source.location if source else entry.id,
        label=target.label if target else "",
        edit_type=plan.edit_type.value if plan else "",
        instruction=plan.instruction if plan else "",
        instruction_before=plan.instruction_before_rewriting if plan else "",
        figures=_rejected_figures(entry, target, sample, pixels),
        gates=tuple(sorted(gates, key=lambda gate: gate.passed)),
    )


def _gates(
    target: GroundedTarget | None, plan: EditPlan | None, sample: EditedSample | None
) -> tuple[Measurement, ...]:
    return (
        *(target.judgement if target else ()),
        *(plan.gates if plan else ()),
        *(sample.gates if sample else ()),
    )


def _rejected_figures(
    entry: Rejected, target: GroundedTarget | None, sample: EditedSample | None, pixels: PixelReader
) -> tuple[Figure, ...]:
    if "source.jpg" not in entry.blobs:
        return ()
    # Ids of ingest are locations with any characters, so files are named by their digest.
    stem = "pictures/rejected-" + hashlib.sha256(f"{entry.stage}\x00{entry.id}".encode()).hexdigest()[:20]
    source = pixels.rgb(entry.blobs["source.jpg"])
    pictures = {}
    if target is None:
        pictures["source"] = fit(source)
    elif "grounded.jpg" in entry.blobs:
        pictures["grounded"] = fit(pixels.rgb(entry.blobs["grounded.jpg"]))
    else:
        pictures["grounded"] = fit(mark(source, from_rle(target.mask), [o.box for o in target.objects]))
    if sample and sample.crop.area:
        pictures["before"] = fit_crop(cut(source, sample.crop))
        if "edited.png" in entry.blobs:
            pictures["after"] = fit_crop(cut(pixels.rgb(entry.blobs["edited.png"]), sample.crop))
        elif "patch.png" in entry.blobs:
            pictures["after"] = fit_crop(pixels.rgb(entry.blobs["patch.png"]))
    return tuple(
        Figure(name=f"{stem}-{name}.jpg", caption=CAPTIONS[name], data=encode(picture))
        for name, picture in pictures.items()
    )
