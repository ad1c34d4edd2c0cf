"""Sizes and readings of the grounding losses."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from intercog_model.settings import Settings, Weight

LAYERS = 28  # of the released model, which `align_layer` counts


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSizes:
    """Widths of the auxiliary modules; the defaults are those of Segment Anything and of the paper."""

    width: int = 256  # channels of the image embedding
    heads: int = 8
    inner: int = 2048
    grid: int = 64  # cells along one side of the image embedding
    projector_hidden: int = 1024

    @property
    def logits_side(self) -> int:
        """Side of the mask logits."""
        return 4 * self.grid


DEBUG_HEADS = HeadSizes(width=32, heads=4, inner=64, grid=16, projector_hidden=64)


class GroundingConfig(Settings):
    """Weights and readings; numbers in comments are those of the reference's table."""

    weight_tv: Weight = 1.0  # a weight of 0 leaves the term out, and out of the log
    weight_vv: Weight = 1.0
    weight_mask: Weight = 0.1  # A11: scales the sum of the three BCE terms
    align_layer: Annotated[int, Field(ge=1, le=LAYERS)] = (
        14  # A1: counted from 1, in the released model; scaled to a smaller one
    )
    hidden: Literal["after norm", "before norm"] = (
        "after norm"  # A2: which last hidden states the mask decoder is conditioned on
    )
    text: Literal["sections 1 and 2", "section 2"] = "sections 1 and 2"  # A3: tokens of H_t
    region_coverage: Annotated[float, Field(gt=0, le=1)] = (
        0.5  # A12: share of a cell that the mask must cover
    )
    vit_target: Literal["hidden states", "connector"] = "hidden states"  # A13
    detach_targets: bool = True  # A14: no gradient through G
    vv_region: Literal["all", "target"] = "all"  # A17
    train_decoder: bool = True  # A9
    detach_hidden: bool = False  # A35: True keeps L_mask out of the backbone

    def scaled_layer(self, layers: int) -> int:
        """The alignment layer of a model with `layers` layers, in proportion to 28; at least 1."""
        return max(1, round(layers * self.align_layer / LAYERS))
