"""Sizes come out of a checkpoint's tensors, and impossible ones are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from tasks.backends.torch.ram.loading import empty_network  # noqa: E402
from tasks.backends.torch.ram.sizes import RAM, RAM_PLUS, RamSizes, SwinSizes, read_sizes  # noqa: E402
from tests.tasks.backends.torch.ram.tiny_ram import TINY, TINY_RAM, random_tensors  # noqa: E402

ONE_STAGE_SMALLER = replace(TINY, swin=replace(TINY.swin, image=48, window=6, depths=(3, 1, 1)))
"""Stages of 12, 6 and 3 tokens a side under windows of 6: the last window is smaller than the others."""


@pytest.mark.parametrize("sizes", [TINY, TINY_RAM, ONE_STAGE_SMALLER, RAM_PLUS, RAM])
def test_the_sizes_are_read_from_the_tensors(sizes: RamSizes) -> None:
    tensors = dict(empty_network(sizes).named_parameters())
    reweighted = sizes.descriptions is not None
    assert read_sizes(tensors, image=sizes.swin.image, tags=sizes.tags, reweighted=reweighted) == sizes


@pytest.mark.parametrize(("tags", "reweighted"), [(5, True), (6, False), (0, True)])
def test_labels_that_are_not_those_of_so_many_tags_are_refused(tags: int, reweighted: bool) -> None:
    with pytest.raises(ValueError, match=f"18 label embeddings are not .* for each of {tags} tags"):
        read_sizes(random_tensors(TINY), image=32, tags=tags, reweighted=reweighted)


@pytest.mark.parametrize(
    ("image", "window", "why"),
    [(40, 2, "multiple of patch"), (384, 7, "stage 0 has 96 x 96 tokens"), (8, 2, "8")],
)
def test_a_picture_that_stages_or_windows_do_not_tile_is_refused(image: int, window: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        SwinSizes(image=image, patch=4, window=window, width=8, depths=(2, 2, 2, 2), heads=(1, 1, 1, 1))
