"""Sizes and readings of the grounding losses."""

from dataclasses import dataclass
from typing import Annotated, Literal

from intercog_model.settings import Identity, Settings, Weight, Within

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


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingConfig(Settings):
    """Weights of the terms, and what each of them compares."""

    weight_tv: Identity[Weight] = 1.0  # a weight of 0 leaves the term out, and out of the log
    weight_vv: Identity[Weight] = 1.0
    weight_mask: Identity[Weight] = 0.1  # scales the sum of the three BCE terms
    # counted from 1, in the released model; scaled to a smaller one
    align_layer: Identity[Annotated[int, Within(ge=1, le=LAYERS)]] = 14
    # which last hidden states the mask decoder is conditioned on
    hidden: Identity[Literal["after norm", "before norm"]] = "after norm"
    text: Identity[Literal["sections 1 and 2", "section 2"]] = "sections 1 and 2"  # tokens of H_t
    # share of a cell that the mask must cover
    region_coverage: Identity[Annotated[float, Within(gt=0, le=1)]] = 0.5
    vit_target: Identity[Literal["hidden states", "connector"]] = "hidden states"  # what L_vv compares with
    detach_targets: Identity[bool] = True  # no gradient through G
    vv_region: Identity[Literal["all", "target"]] = "all"  # patches that L_vv averages over
    train_decoder: Identity[bool] = True
    detach_hidden: Identity[bool] = False  # True keeps L_mask out of the backbone

    def scaled_layer(self, layers: int) -> int:
        """The alignment layer of a model with `layers` layers: the first that is as deep in proportion to 28."""
        return -(-layers * self.align_layer // LAYERS)
