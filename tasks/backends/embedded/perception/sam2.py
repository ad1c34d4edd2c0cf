"""Segment Anything 2 (Hiera-tiny) through ONNX Runtime: a picture to features, a box to masks.

Shapes: B prompts, here always 1; the encoder's frame is 1024 x 1024, the picture stretched into it; the masks'
frame is 256 x 256 over the same picture.

    features   image_embed (1, 256, 64, 64), high_res_feats_0 (1, 32, 256, 256), high_res_feats_1 (1, 64, 128, 128)
    prompt     point_coords (B, N, 2) in the encoder's frame, point_labels: 1 inside, 0 outside, 2 and 3 a box's corners
    answer     three masks as logits (B, 3, 256, 256) and the network's own estimate of their IoU (B, 3)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.backends.assets import AssetCache, default_cache_folder
from tasks.backends.embedded.runtimes.onnx_session import open_session
from tasks.imaging.arrays import Image

ENCODER = "sam2_hiera_tiny_encoder.with_runtime_opt.ort"
DECODER = "sam2_hiera_tiny_decoder_pr1.onnx"

FRAME = 1024
"""Side of the encoder's input, pixels."""

MASK_FRAME = 256
"""Side of the decoder's masks, pixels."""

REMEMBERED = 8
"""Pictures and windows whose features are kept, 17 MB each: a worker's samples in flight, which the detector looks at
first and the segmenter soon after."""

# Mean and deviation of ImageNet's channels, as the network was trained.
LARGEST_LOGIT = 32.0
"""Bound on logits given back to the network, as in its training (Segment Anything, appendix A)."""

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """Encoder output for one picture of ``height`` x ``width`` pixels."""

    height: int
    width: int
    tensors: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Proposals:
    """Three candidate masks of one prompt.

    Attributes:
        logits: (3, 256, 256) float32, over the whole picture; above 0 is inside.
        quality: (3,) the network's own estimate of each mask's IoU, about 0..1.
    """

    logits: NDArray[np.float32]
    quality: NDArray[np.float32]


class Sam2:
    """A loaded encoder and decoder. Not for use from several threads at once."""

    def __init__(self) -> None:
        assets = AssetCache(default_cache_folder())
        # One thread, so that floating-point sums are the same on every machine.
        self._encoder, self._decoder = (
            open_session(assets.path("sam2-hiera-tiny", name), threads=1) for name in (ENCODER, DECODER)
        )
        self._names = [o.name for o in self._encoder.get_outputs()]
        self._known: dict[tuple[int, int, bytes], Features] = {}

    def encode(self, image: Image) -> Features:
        """Features of a picture (H, W, 3) uint8 RGB of any size; some 3 s of one core, nothing for a recent picture."""
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        key = (image.shape[0], image.shape[1], digest)
        known = self._known.pop(key, None) or self._encode(image)
        self._known[key] = known
        while len(self._known) > REMEMBERED:
            self._known.pop(next(iter(self._known)))
        return known

    def _encode(self, image: Image) -> Features:
        height, width = image.shape[:2]
        shrinks = max(height, width) > FRAME
        frame = cv2.resize(
            image, (FRAME, FRAME), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        normal = (frame.astype(np.float32) / np.float32(255) - _MEAN) / _DEVIATION
        answer = self._encoder.run(None, {"image": np.ascontiguousarray(normal.transpose(2, 0, 1)[None])})
        return Features(height=height, width=width, tensors=dict(zip(self._names, answer, strict=True)))

    def propose(
        self,
        features: Features,
        box: tuple[float, float, float, float] | None = None,
        inside: Sequence[tuple[float, float]] = (),
        outside: Sequence[tuple[float, float]] = (),
        previous: NDArray[np.float32] | None = None,
    ) -> Proposals:
        """Masks for a box, and for points.

        Args:
            features: of the picture.
            box: (x0, y0, x1, y1) in the picture's pixels.
            inside: points (x, y) known to be in the thing.
            outside: points known not to be.
            previous: logits (256, 256) of an earlier answer to the same prompt, which the network improves.
        """
        corners = [] if box is None else [(box[0], box[1]), (box[2], box[3])]
        points = [*corners, *inside, *outside]
        labels = [*(2.0, 3.0)[: len(corners)], *[1.0] * len(inside), *[0.0] * len(outside)]
        scale = np.array([FRAME / features.width, FRAME / features.height], np.float32)
        given = np.zeros((MASK_FRAME, MASK_FRAME), np.float32)
        if previous is not None:
            given = np.clip(previous, -LARGEST_LOGIT, LARGEST_LOGIT)
        logits, quality = self._decoder.run(
            None,
            {
                **features.tensors,
                "point_coords": np.array([points], np.float32) * scale,
                "point_labels": np.array([labels], np.float32),
                "mask_input": given[None, None],
                "has_mask_input": np.full(1, previous is not None, np.float32),
            },
        )
        return Proposals(logits=logits[0], quality=quality[0])


@cache
def sam2() -> Sam2:
    """The network of this process, loaded at the first call; shared by detector and segmenter."""
    return Sam2()
