"""The vision transformer of SAM 3: pictures into features, each picture once for both roles and all phrases."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import WeakValueDictionary

import torch

from tasks.backends.torch.picture_input import Preprocessing, resized, stacked
from tasks.backends.torch.sam3.options import Sam3Options
from tasks.imaging.arrays import Image
from tasks.roles.picture import Picture

HALF = (0.5, 0.5, 0.5)
"""Mean and deviation of the channels, as the network was trained; values 0..1."""


class PictureEncoder:
    """Encodes pictures and remembers the features of the latest ones.

    A picture is known by its recipe, so the segmenter's question about a picture that the detector has just seen
    costs no second pass.

    Args:
        vit: `Sam3ViTModel`, on its device.
        options: pictures in one pass, remembered, and threads that squash them.
    """

    def __init__(self, vit: Any, options: Sam3Options) -> None:
        self.vit = vit
        self.side = int(vit.config.image_size)
        self._options = options
        self._features: OrderedDict[str, torch.Tensor] = OrderedDict()
        self.passes = 0

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[Picture]) -> list[torch.Tensor]:
        """Features of each picture, (C, S, S) with S patches a side, on the model's device; opens only new pictures."""
        names = [json.dumps(picture.recipe, sort_keys=True) for picture in pictures]
        found = {name: self._features[name] for name in names if name in self._features}
        new = {name: picture for name, picture in zip(names, pictures, strict=True) if name not in found}
        waiting = list(new)
        step = self._options.pictures_per_forward
        for start in range(0, len(waiting), step):
            part = waiting[start : start + step]
            found.update(zip(part, self._encoded([new[name].rgb for name in part]), strict=True))
        for name in names:
            self._features[name] = found[name]
            self._features.move_to_end(name)
        while len(self._features) > self._options.pictures_kept:
            self._features.popitem(last=False)
        return [found[name] for name in names]

    def _encoded(self, images: Sequence[Image]) -> list[torch.Tensor]:
        weight = self.vit.embeddings.patch_embeddings.projection.weight
        square = (self.side, self.side)
        # Pillow computes outside of Python's lock; alone it takes longer than a GPU needs for the network.
        with ThreadPoolExecutor(self._options.threads) as pool:
            squares = list(pool.map(lambda image: resized(image, square), images))
        given = Preprocessing(size={}, mean=HALF, std=HALF)
        values = stacked(squares, square, given, weight.device)
        hidden = self.vit(values.to(weight.dtype)).last_hidden_state
        self.passes += len(images)
        patches = self.side // int(self.vit.config.patch_size)
        # Clones, since a view of one picture would keep the whole batch alive.
        return [tokens.T.reshape(-1, patches, patches).clone() for tokens in hidden]


_LIVE: WeakValueDictionary[tuple[str, str, str], PictureEncoder] = WeakValueDictionary()
"""Encoders in use in this process, by digest, device and type of their weights."""


def shared_encoder(model: Any, digest: str, options: Sam3Options) -> PictureEncoder:
    """The encoder of this checkpoint in this process; the model's own copy of it gives way to the shared one.

    Args:
        model: detector or tracker, on the CPU; its ``vision_encoder.backbone`` is replaced.
        digest: of the weights.
        options: of the backend; how many pictures are remembered is decided by who comes first.
    """
    key = (digest, options.device, options.dtype)
    encoder = _LIVE.get(key)
    if encoder is None:
        vit = model.vision_encoder.backbone.to(options.device, getattr(torch, options.dtype))
        encoder = PictureEncoder(vit, options)
        _LIVE[key] = encoder
    model.vision_encoder.backbone = encoder.vit
    return encoder
