"""Sizes and readings of the grounding losses, as frozen records."""

from dataclasses import dataclass

from intercog_model.errors import require_one_of, require_within

LAYERS = 28  # of the released model, which `align_layer` counts
HIDDEN = ("after norm", "before norm")
TEXTS = ("sections 1 and 2", "section 2")
VIT_TARGETS = ("hidden states", "connector")
REGIONS = ("all", "target")


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
class GroundingConfig:
    """Weights and readings; numbers in comments are those of the reference's table."""

    weight_tv: float = 1.0  # a weight of 0 leaves the term out, and out of the log
    weight_vv: float = 1.0
    weight_mask: float = 0.1  # A11: scales the sum of the three BCE terms
    align_layer: int = 14  # A1: counted from 1, in the released model; scaled to a smaller one
    hidden: str = "after norm"  # A2: which last hidden states the mask decoder is conditioned on
    text: str = "sections 1 and 2"  # A3: tokens of H_t
    region_coverage: float = 0.5  # A12: share of a cell that the mask must cover
    vit_target: str = "hidden states"  # A13
    detach_targets: bool = True  # A14: no gradient through G
    vv_region: str = "all"  # A17
    train_decoder: bool = True  # A9
    detach_hidden: bool = False  # A35: True keeps L_mask out of the backbone

    def __post_init__(self) -> None:
        require_one_of(self, "hidden", HIDDEN)
        require_one_of(self, "text", TEXTS)
        require_one_of(self, "vit_target", VIT_TARGETS)
        require_one_of(self, "vv_region", REGIONS)
        require_within(self, "[0, inf)", "weight_tv", "weight_vv", "weight_mask")
        require_within(self, f"[1, {LAYERS}]", "align_layer")
        require_within(self, "(0, 1]", "region_coverage")

    def scaled_layer(self, layers: int) -> int:
        """The alignment layer of a model with `layers` layers, in proportion to 28; at least 1."""
        return max(1, round(layers * self.align_layer / LAYERS))
