"""The paper's inpainter: LaMa from ``big-lama.pt``, windows of equal size in one forward pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from tasks.backends.torch.checkpoints import (
    IDLE,
    TorchOptions,
    checked_path,
    identity_of_weights,
    require_finite,
)
from tasks.backends.torch.lama.window import MULTIPLE, FittedWindow, fit_window
from tasks.imaging.arrays import Image
from tasks.records.errors import ModelUnavailable, Reason, SampleError
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.backend import LocalBackend
from tasks.roles.questions import InpaintQuestion

if TYPE_CHECKING:
    import torch

VERSION = 1
"""Raised when the code around the network changes its output."""

PROBE_SIDE = 8 * MULTIPLE
"""Side of the windows with which a loaded file is tried, pixels."""

SAME = 0.01
"""Difference (of values 0..1) up to which a window filled in a batch counts as filled alone."""


class LamaOptions(TorchOptions):
    """Which file, where it runs, and how large a window the network sees."""

    weights_are: ClassVar[Literal["file", "folder"]] = "file"
    weights: str = Field(default="weights/big-lama.pt", min_length=1, description="a TorchScript file")
    dtype: Literal["float32"] = Field(
        default="float32", description="type of the weights in use; its Fourier transforms need float32"
    )
    max_side_px: int = Field(
        default=1024, ge=MULTIPLE, description="longer windows are scaled down to this; none is scaled up"
    )


class LamaInpainter(LocalBackend[InpaintQuestion, Image]):
    """Fills the hole of each window; pixels outside it are the window's own to the bit.

    The network draws nothing at random, so the seed changes nothing; nor does ``avoid``. Equal bits are still not
    promised, since they depend on the device and on the batch.
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
        except ImportError as error:
            msg = f"the lama inpainter needs PyTorch (make setup-torch): {error}"
            raise ModelUnavailable(msg) from error
        # A TorchScript archive is a program and cannot be read with weights_only. What protects is the digest: it is
        # stated by whoever configures the file, and was compared with the file's bytes above, before they are opened.
        try:
            self._model: Any = torch.jit.load(str(path), map_location=options.device)
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelUnavailable(f"{path}: not a TorchScript file: {_first_line(error)}") from error
        self._model.eval()
        self._takes_batches = self._try_batch(path)

    @classmethod
    def identity_of(cls, options: LamaOptions) -> ModelIdentity:
        """The file's name, with revision and digest as stated by the options or by the lock file beside it.

        Raises:
            ConfigurationError: no digest is stated, or option and lock file state different ones.
        """
        model = f"LaMa ({Path(options.weights).name})"
        return identity_of_weights(options, role="inpainter", backend="lama", model=model, version=VERSION)

    def answer(self, questions: Sequence[InpaintQuestion]) -> list[Image | SampleError]:
        """One filled window (H, W, 3) uint8 per question, of its own size.

        Errors: ``backend_error`` when the network's output is not finite or has another size.
        """
        answers: dict[int, Image | SampleError] = {}
        batches: dict[tuple[int, ...], list[int]] = defaultdict(list)
        windows: dict[int, FittedWindow] = {}
        for n, question in enumerate(questions):
            try:
                image, hole = question.picture.rgb, question.hole
            except SampleError as error:
                answers[n] = error.with_traceback(None)
                continue
            if not hole.any():
                answers[n] = image.copy()
                continue
            windows[n] = fit_window(image, hole, self._options.max_side_px)
            batches[windows[n].small_hole.shape].append(n)
        for numbers in batches.values():
            step = len(numbers) if self._takes_batches else 1
            for start in range(0, len(numbers), step):
                batch = numbers[start : start + step]
                answers.update(zip(batch, self._filled([windows[n] for n in batch]), strict=True))
        return [answers[n] for n in range(len(questions))]

    def _filled(self, windows: Sequence[FittedWindow]) -> list[Image | SampleError]:
        """Windows of one padded size, in one pass."""
        import torch  # noqa: PLC0415

        pixels = torch.from_numpy(np.stack([window.small for window in windows]))
        holes = torch.from_numpy(np.stack([window.small_hole for window in windows]))
        device = self._options.device
        found = self._forward(
            pixels.to(device).permute(0, 3, 1, 2).float() / 255, holes.to(device)[:, None].float()
        )
        return [self._put_back(window, output) for window, output in zip(windows, found, strict=True)]

    def _forward(self, image: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
        """``image`` (N, 3, h, w) in 0..1 and ``hole`` (N, 1, h, w), 1 = fill; gives (N, 3, h, w) in 0..1."""
        import torch  # noqa: PLC0415

        with torch.inference_mode():
            found: torch.Tensor = self._model(image, hole)
        return found

    @staticmethod
    def _put_back(window: FittedWindow, output: torch.Tensor) -> Image | SampleError:
        """The window with its hole filled from the network's output (3, h, w)."""
        expected = (3, *window.small_hole.shape)
        if tuple(output.shape) != expected:
            detail = f"the filling has shape {tuple(output.shape)}, expected {expected}"
            return SampleError(Reason.BACKEND_ERROR, detail)
        try:
            require_finite(output, "the filling")
        except SampleError as error:
            return error.with_traceback(None)
        bytes_ = (output.clamp(0, 1) * 255).round().byte()
        return window.with_filling(bytes_.permute(1, 2, 0).cpu().numpy())

    def _try_batch(self, path: Path) -> bool:
        """Whether the file fills two windows at once as it fills each alone.

        Tracing may build the number of windows, which was one, into a file. So it is tried at loading, not assumed.

        Raises:
            ModelUnavailable: it cannot fill a single window.
        """
        import torch  # noqa: PLC0415

        draws = torch.Generator().manual_seed(0)
        images = torch.rand(2, 3, PROBE_SIDE, PROBE_SIDE, generator=draws).to(self._options.device)
        holes = torch.zeros(2, 1, PROBE_SIDE, PROBE_SIDE, device=images.device)
        holes[0, :, 8:24, 8:40] = holes[1, :, 30:50, 20:30] = 1
        try:
            alone = torch.cat([self._forward(images[n : n + 1], holes[n : n + 1]) for n in range(2)])
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            msg = f"{path}: not called as LaMa is, with a picture and a mask: {_first_line(error)}"
            raise ModelUnavailable(msg) from error
        try:
            together = self._forward(images, holes)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:
            return False
        return together.shape == alone.shape and bool(torch.allclose(together, alone, rtol=0, atol=SAME))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
