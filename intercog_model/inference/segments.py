"""One segment of an inference context in packed form: token ids, indexes inside the segment, positions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from intercog_model.backbone.navit import patchify_pixels
from intercog_model.backbone.position_tables import grid_ids
from intercog_model.config import BagelConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Rows to be run against a cache; indexes count from the segment's first row."""

    text_ids: Tensor  # int64, texts or the two frame tokens
    text_indexes: Tensor
    position_ids: Tensor  # int64, one per row
    image_indexes: Tensor  # rows of patches or latent tokens, empty for a text
    grid_ids: Tensor  # flat ids into the position table
    patches: Tensor | None = None
    grid: tuple[int, int] = (0, 0)
    advance: int = 0  # rotary positions that the segment uses up

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.position_ids)

    def to(self, device: torch.device | str) -> "Segment":
        """A copy on `device`."""
        return Segment(
            text_ids=self.text_ids.to(device),
            text_indexes=self.text_indexes.to(device),
            position_ids=self.position_ids.to(device),
            image_indexes=self.image_indexes.to(device),
            grid_ids=self.grid_ids.to(device),
            patches=None if self.patches is None else self.patches.to(device),
            grid=self.grid,
            advance=self.advance,
        )


def text_segment(ids: list[int], position: int, config: BagelConfig) -> Segment:
    """A framed text that starts at rotary position `position`."""
    framed = torch.tensor([config.tokens.text_start, *ids, config.tokens.text_end])
    none = torch.zeros(0, dtype=torch.int64)
    return Segment(
        text_ids=framed,
        text_indexes=torch.arange(len(framed)),
        position_ids=torch.arange(position, position + len(framed)),
        image_indexes=none,
        grid_ids=none,
        advance=len(framed),
    )


def vit_segment(pixels: Tensor, position: int, config: BagelConfig) -> Segment:
    """A ViT image [3, H, W] in [-1, 1], framed."""
    patch = config.vit.patch_size
    patches = patchify_pixels(pixels.cpu(), patch)
    grid = (pixels.shape[1] // patch, pixels.shape[2] // patch)
    return _image_segment(grid, position, config.vit.side, config, patches, advance=1)


def latent_segment(height: int, width: int, position: int, config: BagelConfig, *, kept: bool) -> Segment:
    """Frame and rows of an image of `height` x `width` pixels as latent tokens.

    `kept`: a clean image that enters the context and uses up one position; a picture being drawn uses none.
    """
    side = config.pixels_per_latent_token
    if height % side or width % side:
        raise ValueError(f"image of {height} x {width} pixels is not a multiple of {side}")
    return _image_segment(
        (height // side, width // side),
        position,
        config.max_latent_size,
        config,
        None,
        advance=1 if kept else 0,
    )


def _image_segment(
    grid: tuple[int, int],
    position: int,
    side: int,
    config: BagelConfig,
    patches: Tensor | None,
    *,
    advance: int,
) -> Segment:
    count = grid[0] * grid[1]
    return Segment(
        text_ids=torch.tensor([config.tokens.image_start, config.tokens.image_end]),
        text_indexes=torch.tensor([0, count + 1]),
        position_ids=torch.full((count + 2,), position),
        image_indexes=torch.arange(1, count + 1),
        grid_ids=grid_ids(*grid, side, interpolate=config.interpolate_positions),
        patches=patches,
        grid=grid,
        advance=advance,
    )
