"""A generative crop editor: BAGEL, or a model that InterCoG trained, from a folder of published names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from tasks.backends.crop_words import CROP_EDIT, crop_instruction
from tasks.backends.generative_offer import GenerativeEditorOffer
from tasks.backends.torch.checkpoints import IDLE, TorchOptions, checked_path, identity_of_weights
from tasks.imaging.arrays import Image
from tasks.records.errors import ModelUnavailable, Reason, SampleError
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.backend import LocalBackend
from tasks.roles.questions import EditQuestion

VERSION = 1
"""Raised when the code around the model changes its output."""


class BagelEditorOptions(TorchOptions):
    """Which weights, where they run, and how finely the sampler steps."""

    weights: str = Field(default="weights/BAGEL-7B-MoT", description="a model folder in the published format")
    dtype: Literal["bfloat16", "float32"] = Field(
        default="bfloat16", description="type of the weights in use"
    )
    points: int = Field(
        default=50, ge=2, description="time points of the sampler; fewer are faster and coarser"
    )


class BagelEditor(LocalBackend[EditQuestion, Image]):
    """Generates crops again by their instructions; what lies outside the target is put back by the stage's blend.

    Crops of a batch that the network sees at one size are sampled together. A crop's noise follows from its own seed
    alone. Equal bits are still not promised, since they depend on the GPU and on the batch.
    """

    Options: ClassVar[type[Settings]] = BagelEditorOptions
    answering = frozenset({"dtype", "points"})
    idle = IDLE
    reproducible = False
    wire = 1
    prompts = (CROP_EDIT,)
    offer = "tasks.backends.generative_offer:GenerativeEditorOffer"

    def __init__(self, options: BagelEditorOptions) -> None:
        self._options = options
        folder = checked_path(options, self.identity_of(options).digest)
        try:
            import torch  # noqa: PLC0415 - heavy, and only this backend needs it
            from safetensors import SafetensorError  # noqa: PLC0415

            from intercog_model.inference.pipeline import load_pipeline  # noqa: PLC0415
        except ImportError as error:
            msg = f"the bagel editor needs PyTorch and safetensors (make setup-torch): {error}"
            raise ModelUnavailable(msg) from error
        try:
            self._pipeline = load_pipeline(folder, device=options.device, dtype=getattr(torch, options.dtype))
        except (SafetensorError, OSError, RuntimeError, ValueError, KeyError) as error:
            msg = f"the editor of {options.weights} cannot be loaded: {type(error).__name__}: {error}"
            raise ModelUnavailable(msg) from error

    @classmethod
    def identity_of(cls, options: BagelEditorOptions) -> ModelIdentity:
        """The folder's name, with revision and digest as stated by the options or by the lock file beside the folder.

        Raises:
            ConfigurationError: no digest is stated, or option and lock file state different ones.
        """
        model = f"BAGEL crop editor ({Path(options.weights).name})"
        return identity_of_weights(options, role="editor", backend="bagel", model=model, version=VERSION)

    @classmethod
    def sent(cls, options: BagelEditorOptions, question: EditQuestion) -> Mapping[str, Any]:
        """All of the question, with the instruction as the network reads it."""
        del options
        return {**question.material(), "instruction": crop_instruction(question)}

    def answer(self, questions: Sequence[EditQuestion]) -> list[Image | SampleError]:
        """The edited crops, (H, W, 3) uint8 of their own sizes.

        Errors: ``backend_error`` for a type it does not offer, or an empty mask.

        Raises:
            FloatingPointError: a drawn picture is not finite; the pool then asks for the crops one by one.
        """
        from intercog_model.inference.plain_modes import edit_crops  # noqa: PLC0415
        from intercog_model.inference.sampler import SamplerSettings  # noqa: PLC0415

        answers: dict[int, Image | SampleError] = {}
        crops: dict[int, Image] = {}
        for n, question in enumerate(questions):
            try:
                crops[n] = _opened(question)
            except SampleError as error:
                answers[n] = error.with_traceback(None)
        edited = edit_crops(
            self._pipeline,
            list(crops.values()),
            [crop_instruction(questions[n]) for n in crops],
            [questions[n].seed for n in crops],
            SamplerSettings(points=self._options.points),
        )
        answers.update(zip(crops, edited, strict=True))
        return [answers[n] for n in range(len(questions))]


def _opened(question: EditQuestion) -> Image:
    if question.edit_type not in GenerativeEditorOffer.edit_types:
        raise SampleError(Reason.BACKEND_ERROR, f"{question.edit_type} is not offered")
    if not question.mask.any():
        raise SampleError(Reason.BACKEND_ERROR, "the mask is empty inside the crop")
    return np.ascontiguousarray(question.picture.rgb)
