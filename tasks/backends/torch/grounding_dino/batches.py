"""What a grounding detector looks at, and which of it goes through the network together.

A view is a picture or a part of it at the network's size; a pair is a view and a caption. Pairs share a forward pass
when their canvases are equal, so that no view is padded because of its neighbors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.backends.torch.grounding_dino.captions import Caption
from tasks.backends.torch.picture_input import Preprocessing, Size, resized, shortest_edge_size
from tasks.imaging.arrays import Image
from tasks.imaging.geometry import cropped, quarter_views
from tasks.records.records import Box


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """A part of a picture.

    Attributes:
        question: index of the question it belongs to.
        box: the part, in pixels of the picture.
        image: the part at the network's size, (h, w, 3) uint8.
        canvas: size it is padded to.
    """

    question: int
    box: Box
    image: Image
    canvas: Size


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """One forward pass.

    Attributes:
        views: U of one canvas.
        owners: index into ``views`` for each of P pairs.
        captions: of each pair.
    """

    views: tuple[View, ...]
    owners: tuple[int, ...]
    captions: tuple[Caption, ...]


def views_of(
    question: int, image: Image, given: Preprocessing, *, tile_share: float, canvas_px: int
) -> list[View]:
    """The whole picture, and four overlapping quarters of it where asked for.

    Args:
        question: index of the question.
        image: (H, W, 3) uint8 RGB.
        given: sizes that the network was trained with.
        tile_share: side of a quarter as a share of the picture's; 0: no quarters.
        canvas_px: sides of a canvas are multiples of this.
    """
    height, width = image.shape[:2]
    parts = [Box(x0=0, y0=0, x1=width, y1=height)]
    if tile_share:
        parts += quarter_views(width, height, tile_share)
    return [_view(question, part, image, given, canvas_px) for part in parts]


def _view(question: int, part: Box, image: Image, given: Preprocessing, canvas_px: int) -> View:
    seen = np.ascontiguousarray(cropped(image, part))
    height, width = shortest_edge_size(
        (part.height, part.width), given.size["shortest_edge"], given.size["longest_edge"]
    )
    canvas = (-(-height // canvas_px) * canvas_px, -(-width // canvas_px) * canvas_px)
    return View(question=question, box=part, image=resized(seen, (height, width)), canvas=canvas)


def batches(asked: Sequence[tuple[View, Sequence[Caption]]], most_pairs: int) -> Iterator[Batch]:
    """Puts the pairs of all views into batches, the captions of a view side by side.

    Args:
        asked: views with their captions.
        most_pairs: in one forward pass.
    """
    by_canvas: dict[Size, list[tuple[View, Caption]]] = {}
    for view, captions in asked:
        by_canvas.setdefault(view.canvas, []).extend((view, caption) for caption in captions)
    for pairs in by_canvas.values():
        for start in range(0, len(pairs), most_pairs):
            part = pairs[start : start + most_pairs]
            views = tuple({id(view): view for view, _ in part}.values())
            places = {id(view): place for place, view in enumerate(views)}
            yield Batch(
                views=views,
                owners=tuple(places[id(view)] for view, _ in part),
                captions=tuple(caption for _, caption in part),
            )
