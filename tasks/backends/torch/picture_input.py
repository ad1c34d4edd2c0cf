"""Pictures as the networks take them: resized with Pillow, normalized and padded, without torchvision.

The published processors resize 8-bit pictures bilinearly with antialiasing, which Pillow does to the bit as it was done
in training; sizes and channel statistics stand in a folder's ``preprocessor_config.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from tasks.imaging.arrays import Image
from tasks.records.errors import ModelUnavailable

if TYPE_CHECKING:
    import torch

Size = tuple[int, int]
"""(height, width) in pixels."""

_FILES = ("preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What a folder states about its model's input.

    Attributes:
        size: target size by the keys of transformers: shortest_edge, longest_edge, or height and width.
        mean, std: of the three channels, for values 0..1.
    """

    size: Mapping[str, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def read_preprocessing(folder: Path, keys: Sequence[str]) -> Preprocessing:
    """Reads ``preprocessor_config.json``, or the same below ``image_processor`` in a newer ``processor_config.json``.

    Args:
        folder: of the model.
        keys: that ``size`` must have.

    Raises:
        ModelUnavailable: there is no such file, or it states something else.
    """
    path = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if path is None:
        raise ModelUnavailable(f"{folder}: no {_FILES[0]}")
    try:
        stated: Any = json.loads(path.read_text(encoding="utf-8"))
        stated = stated.get("image_processor", stated)
        size = {key: int(stated["size"][key]) for key in keys}
        mean, std = (tuple(float(v) for v in stated[name]) for name in ("image_mean", "image_std"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        wanted = f"size with {' and '.join(keys)}, image_mean, image_std"
        raise ModelUnavailable(f"{path}: expected {wanted} ({type(error).__name__}: {error})") from error
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0 or min(size.values()) <= 0:
        raise ModelUnavailable(f"{path}: size and image_std must be positive, mean and std three numbers")
    return Preprocessing(size=size, mean=mean, std=std)


def shortest_edge_size(size: Size, shortest: int, longest: int) -> Size:
    """The size whose shorter side is ``shortest``, unless the longer one would exceed ``longest`` (DETR's rule).

    Fractions are cut off, as torchvision does, so that pictures get the size that they had in training.
    """
    height, width = size
    short, long = min(size), max(size)
    exact: float = shortest
    if long / short * shortest > longest:
        exact = longest * short / long
    side = round(exact)
    if short == side:
        return size
    if width < height:
        return int(exact * height / width), side
    return side, int(exact * width / height)


def longest_edge_size(size: Size, longest: int) -> Size:
    """The size whose longer side is ``longest``; the other one is rounded (SAM's rule)."""
    scale = longest / max(size)
    return int(size[0] * scale + 0.5), int(size[1] * scale + 0.5)


def resized(image: Image, size: Size) -> Image:
    """The picture (H, W, 3) uint8 at another size, bilinear with antialiasing."""
    if image.shape[:2] == size:
        return image
    found = PIL.Image.fromarray(image).resize(size[::-1], PIL.Image.Resampling.BILINEAR)
    return np.asarray(found, np.uint8)


def stacked(images: Sequence[Image], canvas: Size, given: Preprocessing, device: str) -> torch.Tensor:
    """Pictures as a batch: normalized by channel, then padded with zeros at the bottom and on the right.

    Args:
        images: (h, w, 3) uint8 RGB, none larger than the canvas.
        canvas: size of the batch.
        given: mean and deviation of the channels.
        device: where the batch goes; bytes travel, floats are made there.

    Returns:
        (B, 3, H, W) float32.
    """
    import torch  # noqa: PLC0415 - heavy, and only these backends need it

    mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (given.mean, given.std))
    batch = torch.zeros((len(images), 3, *canvas), device=device)
    for place, image in zip(batch, images, strict=True):
        pixels = torch.from_numpy(np.array(image)).to(device).permute(2, 0, 1)
        place[:, : image.shape[0], : image.shape[1]] = (pixels / 255 - mean) / std
    return batch
