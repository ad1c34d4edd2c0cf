"""The two array types that every image function of the project takes and returns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB, sRGB encoded."""

Mask = NDArray[np.bool_]
"""(H, W) bool; True is inside."""
