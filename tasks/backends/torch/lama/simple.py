"""LaMa through the package simple-lama-inpainting, for comparison with the project's own wrapper."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image as Pillow

from tasks.backends.one_by_one import OneByOne
from tasks.backends.torch.checkpoints import IDLE, checked_path, identity_of_weights
from tasks.backends.torch.lama.inpainter import LamaOptions
from tasks.backends.torch.lama.window import fit_window
from tasks.imaging.arrays import Image
from tasks.records.errors import ModelUnavailable, Reason, SampleError
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.questions import InpaintQuestion

VERSION = 1
"""Raised when the code around the package changes its output."""

MODEL_VARIABLE = "LAMA_MODEL"
"""Environment variable from which the package takes the file; without it, it would download one."""

INSTALL = "uv pip install -r deploy/requirements/simple-lama.txt"


class SimpleLamaInpainter(OneByOne[InpaintQuestion, Image]):
    """The package pads windows to multiples of 8 and leaves the padding in its result; here it is cut off.

    The package composites in floats and truncates, so its fillings may be one step darker than those of ``lama``.
    """

    Options: ClassVar[type[Settings]] = LamaOptions
    answering = frozenset({"max_side_px"})
    idle = IDLE
    reproducible = False
    wire = 1
    offer = "tasks.backends.torch.lama.offer:LamaOffer"

    def __init__(self, options: LamaOptions) -> None:
        self._options = options
        path = checked_path(options, self.identity_of(options).digest)
        try:
            import torch  # noqa: PLC0415 - heavy, and only these backends need it
            from simple_lama_inpainting import SimpleLama  # noqa: PLC0415
        except ImportError as error:
            raise ModelUnavailable(f"simple-lama needs its package ({INSTALL}): {error}") from error
        try:
            # As with `lama`, a TorchScript file is a program, and its stated digest was checked before it is opened.
            with _variable(MODEL_VARIABLE, str(path)):
                self._fill: Any = SimpleLama(device=torch.device(options.device))
        except (RuntimeError, ValueError, OSError) as error:
            first = str(error).strip().partition("\n")[0]
            raise ModelUnavailable(f"{path}: cannot be loaded by simple-lama-inpainting: {first}") from error

    @classmethod
    def identity_of(cls, options: LamaOptions) -> ModelIdentity:
        """See `tasks.backends.torch.lama.inpainter.LamaInpainter.identity_of`."""
        model = f"LaMa ({Path(options.weights).name}) by simple-lama-inpainting"
        return identity_of_weights(
            options, role="inpainter", backend="simple-lama", model=model, version=VERSION
        )

    def answer_one(self, question: InpaintQuestion) -> Image:
        """The window with its hole filled, (H, W, 3) uint8; other pixels are as they were.

        Raises:
            SampleError: ``backend_error`` for an output that is not finite or smaller than the window.
        """
        image, hole = question.picture.rgb, question.hole
        if not hole.any():
            return image.copy()
        window = fit_window(image, hole, self._options.max_side_px, multiple=1)
        mask = Pillow.fromarray(window.small_hole.astype(np.uint8) * 255)
        try:
            # The package casts to bytes without a look; numpy would only warn of NaN.
            with np.errstate(invalid="raise"):
                filled = np.asarray(self._fill(Pillow.fromarray(window.small), mask))
        except FloatingPointError as error:
            raise SampleError(Reason.BACKEND_ERROR, "the filling is not finite") from error
        rows, columns = window.content
        if filled.ndim != 3 or filled.shape[0] < rows or filled.shape[1] < columns:
            detail = f"the filling has shape {filled.shape}, expected at least {(rows, columns, 3)}"
            raise SampleError(Reason.BACKEND_ERROR, detail)
        return window.with_filling(filled)


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """An environment variable for as long as the block lasts."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
