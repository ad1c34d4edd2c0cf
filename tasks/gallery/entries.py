"""View models for the gallery's templates: one accepted or rejected sample each."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from tasks.gallery.figures import Figure, refused_figures, refused_stem, sample_figures
from tasks.gallery.gate_words import (
    FailedGate,
    WeakestGate,
    failed_gates,
    object_counts,
    weakest_gate,
)
from tasks.gallery.pictures import sample_pictures
from tasks.gallery.provenance import Made, made_of_refused, made_of_sample
from tasks.gallery.target_words import grounded_target, released_target
from tasks.imaging.geometry import from_rle
from tasks.publishing.accepted import Accepted
from tasks.publishing.reason_words import reason_words
from tasks.publishing.shard_format import SampleMeta
from tasks.records.errors import Reason
from tasks.records.outcomes import BlobRef, PixelReader, Record, SourceEntry
from tasks.records.records import (
    Box,
    EditedSample,
    EditPlan,
    GroundedTarget,
    Measurement,
    Rle,
    SourceImage,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A rejected or failed input or child, with what is known about it.

    ``record`` is its own, or else its parent's (the stage's input); ``blobs`` are those of both.
    ``measured`` are the numbers behind the reason; ``twins`` are ids of others whose entry on the page would be
    identical.
    """

    stage: str
    id: str
    reason: str
    verdict: str
    detail: str
    record: Record | SourceEntry | None
    blobs: Mapping[str, BlobRef]
    measured: tuple[Measurement, ...] = ()
    twins: tuple[str, ...] = ()

    @property
    def appearance(self) -> Hashable:
        """Equal for plans of one target that ended before they had pictures, with equal words and numbers."""
        match self.record:
            case GroundedTarget(target_id=target):
                return self.verdict, self.detail, self.measured, target
            case EditPlan(target=grounded, edit_type=kind, instruction=words, gates=gates):
                said = (self.verdict, self.detail, self.measured)
                return (*said, grounded.target_id, kind, words, gates)
        return self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedView:
    """Data for the page of accepted samples; the numbers are measured on the pictures shown."""

    meta: SampleMeta
    made: Made
    figures: tuple[Figure, ...]
    weakest: WeakestGate | None
    allowed_share: float
    changed_outside: int
    changed_inside: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedView:
    """Data for the page of rejected samples.

    Attributes:
        title: of the reason, in plain words.
        failed: the gates that failed.
        counts: for a scene without a target: (why objects do not qualify, number of objects).
        remark: the stage's explanation beyond gates and counts.
        gates: everything measured, failed gates first.
    """

    entry: Rejected
    title: str
    failed: tuple[FailedGate, ...]
    counts: tuple[tuple[str, int], ...]
    remark: str
    made: Made
    sid: str
    location: str
    label: str
    edit_type: str
    instruction: str
    instruction_before: str
    figures: tuple[Figure, ...]
    gates: tuple[Measurement, ...]


def view_accepted(entry: Accepted, pixels: PixelReader) -> AcceptedView:
    """Decodes the three pictures once and derives the others from them."""
    meta = entry.meta
    source, grounded, edited = (
        pixels.rgb(entry.blobs[n]) for n in ("source.jpg", "grounded.jpg", "edited.png")
    )
    height, width = meta.allowed_region.size
    allowed = from_rle(Rle(height=height, width=width, counts=meta.allowed_region.counts))
    target = from_rle(Rle(height=height, width=width, counts=meta.target.mask.counts))
    x0, y0, x1, y1 = meta.crop
    crop = Box(x0=x0, y0=y0, x1=x1, y1=y1)
    pictures = sample_pictures(source, grounded, edited, crop=crop, mask=target, allowed=allowed)
    return AcceptedView(
        meta=meta,
        made=made_of_sample(meta),
        figures=sample_figures(f"pictures/{meta.key}", released_target(meta), pictures),
        weakest=weakest_gate((*meta.gates, *meta.scores)),
        allowed_share=float(allowed.mean()),
        changed_outside=pictures.changed_outside,
        changed_inside=pictures.changed_inside,
    )


def view_rejected(entry: Rejected, pixels: PixelReader) -> RejectedView:
    """All pictures and gates that exist for a rejected sample."""
    record = entry.record
    sample = record if isinstance(record, EditedSample) else None
    plan = sample.plan if sample else record if isinstance(record, EditPlan) else None
    target = plan.target if plan else record if isinstance(record, GroundedTarget) else None
    source = target.scene.source if target else record if isinstance(record, SourceImage) else None
    gates = _gates(target, plan, sample)
    failed = failed_gates((*gates, *entry.measured))
    words = reason_words(entry.reason)
    return RejectedView(
        entry=entry,
        title=words.title_for([gate.name for gate in failed]),
        failed=failed,
        counts=object_counts(entry.measured) if entry.reason == Reason.NO_TARGET else (),
        remark=entry.detail,
        made=made_of_refused(target, plan, sample),
        sid=source.sid if source else "",
        location=source.location if source else entry.id,
        label=grounded_target(target) if target else "",
        edit_type=plan.edit_type.value if plan else "",
        instruction=plan.instruction if plan else "",
        instruction_before=plan.instruction_before_rewriting if plan else "",
        figures=refused_figures(refused_stem(entry.stage, entry.id), entry.blobs, target, sample, pixels),
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
