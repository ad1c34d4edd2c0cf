"""A generative crop editor: BAGEL, or a model that InterCoG trained, from a folder of published names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from tasks.imaging.arrays import Image
from tasks.records.errors import ModelUnavailable, Reason, SampleError
from tasks.records.records import EditType, ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.questions import EditRequest

WEIGHTS = ("ema.safetensors", "ae.safetensors")


class BagelEditorOptions(Settings):
    """Which weights, where they run, and how long a picture is drawn."""

    folder: str = Field(default="weights/BAGEL-7B-MoT", description="a model folder in the published format")
    device: str = Field(default="cuda", description="where it runs, as PyTorch names it")
    dtype: Literal["bfloat16", "float32"] = Field(
        default="bfloat16", description="type of the weights in use"
    )
    points: int = Field(
        default=50, ge=2, description="time points of the sampler; fewer are faster and coarser"
    )


class BagelEditor:
    """Draws the crop anew by the instruction; what lies outside the target is put back by the stage's blend."""

    Options = BagelEditorOptions
    offer = "tasks.backends.generative_offer:GenerativeEditorOffer"

    def __init__(self, options: BagelEditorOptions) -> None:
        self._options = options
        self._identity = self.describe(options)
        try:
            import torch  # noqa: PLC0415 - heavy, and only this backend needs it
            from safetensors import SafetensorError  # noqa: PLC0415

            from intercog_model.inference.pipeline import load_pipeline  # noqa: PLC0415
        except ImportError as error:
            msg = f"the bagel editor needs PyTorch and safetensors (make setup-torch): {error}"
            raise ModelUnavailable(msg) from error
        try:
            self._pipeline = load_pipeline(
                Path(options.folder), device=options.device, dtype=getattr(torch, options.dtype)
            )
        except (SafetensorError, OSError, RuntimeError, ValueError, KeyError) as error:
            msg = f"the editor of {options.folder} cannot be loaded: {type(error).__name__}: {error}"
            raise ModelUnavailable(msg) from error

    @classmethod
    def describe(cls, options: BagelEditorOptions) -> ModelIdentity:
        """The folder's name and the digest of its weights, which are read but not loaded.

        Raises:
            ModelUnavailable: a file of weights is not there.
        """
        digest = hashlib.sha256()
        for name in WEIGHTS:
            path = Path(options.folder) / name
            try:
                found = path.stat()
            except OSError as error:
                raise ModelUnavailable(f"{path}: {error.strerror}") from error
            digest.update(_sha256(path, found.st_size, found.st_mtime_ns))
        return ModelIdentity(
            role="editor",
            backend="bagel",
            model=f"BAGEL crop editor ({Path(options.folder).name})",
            revision="1",
            digest=digest.hexdigest(),
        )

    @classmethod
    def offers_of(cls, options: BagelEditorOptions) -> tuple[EditType, ...]:
        """Every type but Remove, which is the inpainter's."""
        del options
        return tuple(t for t in EditType if t is not EditType.REMOVE)

    @property
    def identity(self) -> ModelIdentity:
        """Who answers."""
        return self._identity

    @property
    def offers(self) -> tuple[EditType, ...]:
        """As `offers_of` says."""
        return self.offers_of(self._options)

    def edit(self, requests: Sequence[EditRequest]) -> list[Image]:
        """The edited crops, one at a time: a crop's noise follows from its own seed alone.

        Raises:
            SampleError: ``backend_error`` for a type it does not offer, or an empty mask.
        """
        return [self._edit(request) for request in requests]

    def _edit(self, request: EditRequest) -> Image:
        from intercog_model.inference.plain_modes import edit_crop  # noqa: PLC0415
        from intercog_model.inference.sampler import SamplerSettings  # noqa: PLC0415

        if request.edit_type not in self.offers:
            raise SampleError(Reason.BACKEND_ERROR, f"{request.edit_type} is not offered")
        if not request.mask.any():
            raise SampleError(Reason.BACKEND_ERROR, "the mask is empty inside the crop")
        settings = SamplerSettings(points=self._options.points)
        edited: Image = edit_crop(
            self._pipeline, np.ascontiguousarray(request.image), request.instruction, request.seed, settings
        )
        return edited


@lru_cache(maxsize=8)
def _sha256(path: Path, size: int, changed_ns: int) -> bytes:
    """Digest of a file; size and time of change make a new entry of a file that was replaced."""
    del size, changed_ns
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
