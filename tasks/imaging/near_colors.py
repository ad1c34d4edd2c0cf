"""Local color statistics: mean and covariance of the masked pixels around a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Mask

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Colors:
    """Statistics of the masked pixels around each of N pixels.

    Attributes:
        mean: (N, 3) Lab.
        covariance: (N, 3, 3).
        seen: (N,) 0..1, 0 where no masked pixel is within reach.
    """

    mean: Plane
    covariance: Plane
    seen: Plane


def near_colors(lab: Plane, where: Mask, reach: int, band: Mask) -> Colors:
    """Lab statistics of the pixels ``where`` within ``reach`` px (a square) of each of the N pixels of ``band``.

    ``lab`` is (H, W, 3), both masks (H, W); the N pixels come in row order.
    """
    weight = where.astype(np.float32)
    size = (2 * reach + 1, 2 * reach + 1)

    def total(plane: Plane) -> Plane:
        sums = cv2.boxFilter(plane, -1, size, normalize=False, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(sums[band], np.float32)

    count = total(weight)
    most = np.maximum(count, 1e-3)
    mean = np.stack([total(lab[..., c] * weight) / most for c in range(3)], axis=1)
    covariance = np.empty((len(mean), 3, 3), np.float32)
    for i in range(3):
        for j in range(i + 1):
            product = total(lab[..., i] * lab[..., j] * weight) / most - mean[:, i] * mean[:, j]
            covariance[:, i, j] = covariance[:, j, i] = product
    return Colors(mean=np.asarray(mean, np.float32), covariance=covariance, seen=np.clip(count / 4, 0, 1))
