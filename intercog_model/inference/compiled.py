"""The decoder layers through torch.compile, for as long as a block lasts."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from intercog_model.backbone.bagel import Bagel
from intercog_model.backbone.layers import HALVES


@contextmanager
def compiled_layers(model: Bagel, backend: str = "inductor") -> Iterator[None]:
    """Norms, rotary positions and feed-forwards of every layer fused; attention and its caches stay as they are.

    The layers share one graph per kind of rows. The first picture of a size and the first words pay for compiling;
    `inductor` needs a C++ compiler on a CPU and Triton on a GPU. Names of weights do not change.
    """
    layers = list(model.language_model.model.layers)
    for layer in layers:
        for half in HALVES:
            setattr(layer, half, torch.compile(getattr(layer, half), backend=backend))
    try:
        yield
    finally:
        for layer in layers:
            for half in HALVES:
                delattr(layer, half)
