"""The loss of a packed batch: cross-entropy, velocity error, alignment and reconstruction, as sums and counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from intercog_model.backbone.attention import Attend
from intercog_model.backbone.bagel import BackboneOutput, Bagel
from intercog_model.backbone.token_losses import cross_entropy_rows, velocity_errors
from intercog_model.data.plans import GroundingTarget
from intercog_model.grounding.alignment import text_vision_loss, vision_vision_loss
from intercog_model.grounding.config import GroundingConfig
from intercog_model.grounding.heads import GroundingHeads
from intercog_model.grounding.placement import region
from intercog_model.grounding.reconstruction import mask_iou, mask_loss, mask_target
from intercog_model.packing.batch import PackedBatch, Span

Result = TypeVar("Result")

OVERLAPS = {"mask_text": "iou_text", "mask_v": "iou_v", "mask_o": "iou_o"}
MASK_TERMS = {"mask_text": "T1", "mask_v": "V drawn", "mask_o": "O"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveConfig:
    """Weights and switches of the whole objective."""

    grounding: GroundingConfig
    weight_ce: float = 1.0
    weight_mse: float = 1.0
    timestep_shift: float = 4.0
    freeze_und: bool = False  # no gradient through the understanding expert
    reweight_ce: bool = False  # rows of a text weigh 1 / sqrt(rows)

    def weight(self, term: str) -> float:
        """Weight of a term in the total (equation 5)."""
        if term in MASK_TERMS:
            return self.grounding.weight_mask
        return {
            "ce": self.weight_ce,
            "mse": self.weight_mse,
            "tv": self.grounding.weight_tv,
            "vv": self.grounding.weight_vv,
        }[term]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingBatch:
    """A pack with the grounding targets of its samples and their image features."""

    packed: PackedBatch
    targets: tuple[GroundingTarget | None, ...]
    features: tuple[Tensor | None, ...]  # [C, g, g] each, where there is a target

    def to(self, device: torch.device | str) -> "TrainingBatch":
        """The same with the pack on `device`; what single samples need is moved when it is used."""
        return replace(self, packed=self.packed.to(device))


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of the sequence that the grounding losses of one sample read; None where a term has none."""

    text: range | None
    second: range | None
    v: Span | None
    o: Span | None
    vit: Span | None


def rows_of(batch: TrainingBatch, sample: int, config: GroundingConfig) -> Rows:
    """Locate a sample's tokens in the pack."""
    target = batch.targets[sample]
    if target is None:
        return Rows(None, None, None, None, None)
    first = batch.packed.span(sample, "T1")

    def shifted(ids: range) -> range | None:
        # a span starts behind the frame token, so its first row is the text's first id
        return range(first.start + ids.start, first.start + ids.stop) if first and len(ids) else None

    text = target.content if config.text == "sections 1 and 2" else target.second
    spans = (batch.packed.span(sample, name) for name in ("V drawn", "O", "V"))
    return Rows(shifted(text), shifted(target.second), *spans)


def term_counts(batch: TrainingBatch, config: ObjectiveConfig) -> dict[str, float]:
    """How many rows or samples each term averages over; known before any forward pass.

    A term that the configuration leaves out is not in the result; one that this batch lacks counts 0.
    """
    packed, grounding = batch.packed, config.grounding
    ce = packed.ce_weight if config.reweight_ce else float(len(packed.ce_indexes))
    counts = {"ce": ce, "mse": float(len(packed.mse_indexes))}
    rows = [rows_of(batch, i, grounding) for i in range(len(batch.targets))]
    masked = [t is not None and t.marked for t in batch.targets]
    if grounding.weight_tv:
        counts["tv"] = float(sum(m and bool(r.second and r.o) for r, m in zip(rows, masked, strict=True)))
    if grounding.weight_vv:
        counts["vv"] = float(sum(m and bool(r.vit and r.o) for r, m in zip(rows, masked, strict=True)))
    if grounding.weight_mask:
        sources: dict[str, Sequence[object]] = {
            "mask_text": [r.text for r in rows],
            "mask_v": [r.v for r in rows],
            "mask_o": [r.o for r in rows],
        }
        for term, found in sources.items():
            counts[term] = float(sum(m and bool(f) for f, m in zip(found, masked, strict=True)))
    return counts


class InterCog(nn.Module):
    """The network with its auxiliary heads; one forward gives every loss term as a sum."""

    def __init__(self, bagel: Bagel, heads: GroundingHeads, config: ObjectiveConfig) -> None:
        super().__init__()
        self.bagel = bagel
        self.heads = heads
        self.config = config
        self.layer = config.grounding.scaled_layer(bagel.config.llm.num_hidden_layers)
        heads.mask_decoder.requires_grad_(config.grounding.train_decoder)

    def forward(
        self, batch: TrainingBatch, clean_NC: Tensor, attend: Attend, *, overlaps: bool = False
    ) -> dict[str, Tensor]:
        """Sum of each term over its rows or samples, in the units of `term_counts`.

        Nothing here depends on a tensor's values, so that a step can be planned with tensors that have none. But
        `overlaps`, for validation, adds the IoU of each mask with the target, by the names of `OVERLAPS`.
        """
        out = self.run_backbone(batch, clean_NC, attend)
        ce = cross_entropy_rows(out.logits, batch.packed.ce_labels)
        if self.config.reweight_ce:
            ce = ce * batch.packed.ce_weights
        sums = {"ce": ce.sum(), "mse": velocity_errors(out.velocity, out.target).mean(dim=1).sum()}
        for sample, target in enumerate(batch.targets):
            if target is not None and target.marked:
                for term, value in self._grounding_terms(batch, sample, target, out).items():
                    sums[term] = sums.get(term, 0.0) + value
                if overlaps and self.config.grounding.weight_mask:
                    goal = self.mask_goal(target)
                    for term, logits in self.mask_logits(batch, sample, out).items():
                        iou = mask_iou(logits, goal.to(logits.device))
                        sums[OVERLAPS[term]] = sums.get(OVERLAPS[term], 0.0) + logits.new_tensor(iou)
        # every weight gets a gradient on every rank, whatever its packs lack: sharded reductions must agree
        sums["ce"] = sums["ce"] + 0 * sum(p.sum() for p in self.heads.parameters() if p.requires_grad)
        return sums

    def run(self, work: Callable[[], Result]) -> Result:
        """What `work` returns; registered as a forward method of FSDP, it finds the root unit's weights whole."""
        return work()

    def run_backbone(self, batch: TrainingBatch, clean_NC: Tensor, attend: Attend) -> BackboneOutput:
        """The packed forward, with the layers that the grounding losses read."""
        layers = {self.layer, self.bagel.config.llm.num_hidden_layers}
        out: BackboneOutput = self.bagel(
            batch.packed,
            clean_NC,
            attend,
            timestep_shift=self.config.timestep_shift,
            keep_layers=layers,
            freeze_und=self.config.freeze_und,
        )
        return out

    def _grounding_terms(
        self, batch: TrainingBatch, sample: int, target: GroundingTarget, out: BackboneOutput
    ) -> dict[str, Tensor]:
        config, rows = self.config.grounding, rows_of(batch, sample, self.config.grounding)
        terms: dict[str, Tensor] = {}
        noised = out.layers[self.layer]
        if config.weight_tv and rows.second and rows.o:
            cells = region(target.mask, rows.o.rows, rows.o.columns, config.region_coverage).flatten()
            terms["tv"] = text_vision_loss(
                noised[rows.o.start : rows.o.stop],
                cells.to(noised.device),
                noised[rows.second.start : rows.second.stop],
                self.heads.text_alignment,
                detach=config.detach_targets,
            )
        if config.weight_vv and rows.vit and rows.o:
            terms["vv"] = self._vision_vision(rows.o, rows.vit, target, batch, out)
        if config.weight_mask:
            logits = self.mask_logits(batch, sample, out)
            goal = self.mask_goal(target)
            terms |= {name: mask_loss(value, goal.to(value.device)) for name, value in logits.items()}
        return terms

    def _vision_vision(
        self, o: Span, vit: Span, target: GroundingTarget, batch: TrainingBatch, out: BackboneOutput
    ) -> Tensor:
        config, noised = self.config.grounding, out.layers[self.layer]
        goal = noised[vit.start : vit.stop]
        if config.vit_target == "connector":
            goal = out.embedded.connected_PD[vit.first : vit.first + vit.stop - vit.start]
        patches = None
        if config.vv_region == "target":
            patches = region(target.mask, vit.rows, vit.columns, config.region_coverage).flatten()
        return vision_vision_loss(
            noised[o.start : o.stop],
            goal,
            (o.rows, o.columns),
            (vit.rows, vit.columns),
            self.heads.vision_alignment,
            detach=config.detach_targets,
            patches=None if patches is None else patches.to(goal.device),
        )

    def mask_goal(self, target: GroundingTarget) -> Tensor:
        """The target mask over the valid part of the logits."""
        size = (target.image.height, target.image.width)
        return mask_target(target.mask, self.heads.sizes.logits_side, size)

    def mask_logits(
        self, batch: TrainingBatch, sample: int, out: BackboneOutput, *, zero: Sequence[str] = ()
    ) -> dict[str, Tensor]:
        """Mask logits [4g, 4g] by term, for the sources that the sample has.

        Terms in `zero` are decoded with their conditioning set to zero, to see what the decoder knows alone.
        """
        config, rows = self.config.grounding, rows_of(batch, sample, self.config.grounding)
        hidden = (
            out.last_LD
            if config.hidden == "after norm"
            else out.layers[len(self.bagel.language_model.model.layers)]
        )
        hidden = hidden.detach() if config.detach_hidden else hidden
        features = batch.features[sample]
        if features is None:
            raise ValueError(f"sample {batch.packed.keys[sample]} has a target but no image features")
        features = features.to(hidden.device, self.heads.no_mask_embed.weight.dtype)
        found: dict[str, Tensor] = {}
        if rows.text:
            states = hidden[rows.text.start : rows.text.stop]
            found["mask_text"] = self.heads.text_logits(features, states, zero="mask_text" in zero)
        for term, span in (("mask_v", rows.v), ("mask_o", rows.o)):
            if span:
                states, grid = hidden[span.start : span.stop], (span.rows, span.columns)
                found[term] = self.heads.vision_logits(features, states, grid, zero=term in zero)
        return found


def total_loss(sums: dict[str, Tensor], counts: dict[str, float], config: ObjectiveConfig) -> Tensor:
    """Weighted sum of the terms' means; `counts` may cover more batches than `sums`, for accumulation."""
    parts = [config.weight(name) * value / max(counts[name], 1e-12) for name, value in sums.items()]
    return torch.stack([part.float() for part in parts]).sum()
