"""Editor and inpainter behind ``POST /v1/images/edits``, as vLLM-Omni, SGLang and OpenAI serve it.

The mask is sent and never relied upon: most servers ignore it. What an edit may change is decided by the stage, which
keeps all other pixels of the photograph.
"""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import numpy as np
from PIL import Image as Pillow
from pydantic import Field, model_validator

from tasks.backends.crop_words import CROP_EDIT, crop_instruction, keeping, removal_instruction
from tasks.backends.generative_offer import GenerativeEditorOffer
from tasks.backends.served.edit_canvas import Canvas, fixed_canvas, free_canvas
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.pixels import encode_png
from tasks.records.edit_types import Region, spec_of
from tasks.records.errors import ConfigurationError, Reason, SampleError
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.backend import ServedBackend
from tasks.roles.chat import BadReply, ChatPicture
from tasks.roles.image_edits import ImageEditRequest, PictureReply
from tasks.roles.picture import array_digest
from tasks.roles.placement import ServedModel
from tasks.roles.questions import EditQuestion, InpaintQuestion

FORMATS = ("PNG", "JPEG", "WEBP")
"""Formats of an answer."""

MAX_ANSWER_PIXELS = 32_000_000
"""A larger answer is none; a small file could otherwise fill the memory when it is decoded."""

OPENAI_SIZES = ((1024, 1024), (1024, 1536), (1536, 1024))
"""(height, width) of the only canvases that OpenAI's image models take."""

OF_A_SAMPLER = frozenset({"steps", "guidance_scale", "true_cfg_scale", "negative_prompt"})
"""Options that OpenAI's own API has no fields for."""

Q = TypeVar("Q", EditQuestion, InpaintQuestion)


class ImageEditOptions(Settings):
    """The dialect, the sampler's settings, and the size of what is sent."""

    served: ServedModel | None = Field(
        default=None, description="what the server runs; comes from the server that run names"
    )
    dialect: Literal["vllm-omni", "sglang", "openai"] = Field(
        default="vllm-omni", description="names of form fields, and how the mask is drawn"
    )
    steps: int | None = Field(
        default=40, ge=1, description="steps of the sampler; none: the server's own, which no key then names"
    )
    guidance_scale: float | None = Field(default=None, ge=0, description="of models that distill guidance")
    true_cfg_scale: float | None = Field(
        default=4.0, ge=0, description="classifier-free guidance; none: the server's own"
    )
    negative_prompt: str = Field(default="", description="what the picture should not show")
    min_side_px: int = Field(default=512, ge=64, description="shorter side of what is sent, at least")
    max_side_px: int = Field(default=1024, ge=64, description="longer side of what is sent, at most")
    multiple_px: int = Field(default=16, ge=1, description="both sides are multiples of this")
    effects: bool = Field(
        default=False,
        description="whether shadow and reflection of the target change with it, outside its mask",
    )

    @model_validator(mode="after")
    def _known_to_the_dialect(self) -> Self:
        stated = sorted(OF_A_SAMPLER & self.model_fields_set)
        if self.dialect == "openai" and stated:
            msg = f"{', '.join(stated)}: dialect openai has no such fields"
            raise ValueError(msg)
        return self

    @property
    def fields(self) -> dict[str, str]:
        """Form fields of the sampler."""
        if self.dialect == "openai":
            return {}
        stated = {
            "response_format": "b64_json",
            "num_inference_steps": self.steps,
            "guidance_scale": self.guidance_scale,
            "true_cfg_scale": self.true_cfg_scale,
            "negative_prompt": self.negative_prompt or None,
        }
        return {name: str(value) for name, value in stated.items() if value is not None}

    def canvas(self, crop: tuple[int, int]) -> Canvas:
        """What a crop of (height, width) pixels is sent as."""
        if self.dialect == "openai":
            return fixed_canvas(crop, OPENAI_SIZES)
        return free_canvas(
            crop,
            min_side=self.min_side_px,
            max_side=self.max_side_px,
            max_pixels=self.served.max_pixels if self.served else self.max_side_px**2,
            multiple=self.multiple_px,
        )


class ImageRemovalOptions(ImageEditOptions):
    """An editor that takes a thing out of a picture takes its shadow along."""

    effects: bool = Field(
        default=True,
        description="whether shadow and reflection of the target change with it, outside its mask",
    )


class ImageEditBackend(ServedBackend[Q, Image], Generic[Q]):
    """One picture with words to a server, one picture back, brought to the size of the question's."""

    Options: ClassVar[type[ImageEditOptions]] = ImageEditOptions
    answering = frozenset(ImageEditOptions.model_fields) - {"served", "effects"}
    wire = 1
    prompts = (CROP_EDIT,)
    role: ClassVar[str]

    def __init__(self, options: ImageEditOptions) -> None:
        self._options = options

    @classmethod
    @abstractmethod
    def told(cls, question: Q) -> str:
        """The prompt."""

    @classmethod
    @abstractmethod
    def meant(cls, question: Q) -> Mask:
        """Pixels that the edit is meant for, (H, W): the mask that is sent."""

    @classmethod
    def identity_of(cls, options: ImageEditOptions) -> ModelIdentity:
        """The server's model.

        Raises:
            ConfigurationError: the role runs on no server.
        """
        if options.served is None:
            msg = f"{cls.role}: backend 'image-edits' needs a server; set its run to a name out of servers"
            raise ConfigurationError(msg)
        return ModelIdentity(
            role=cls.role,
            backend="image-edits",
            model=options.served.id,
            revision=options.served.revision,
            digest="none",
        )

    @classmethod
    def sent(cls, options: ImageEditOptions, question: Q) -> Mapping[str, Any]:
        """Prompt and form fields as they are sent, the picture by recipe and canvas, the mask by digest."""
        mask = cls.meant(question)
        return {
            "prompt": cls.told(question),
            "picture": question.picture.recipe,
            "canvas": asdict(options.canvas((mask.shape[0], mask.shape[1]))),
            "mask": array_digest(mask),
            "fields": options.fields,
        }

    def request(self, question: Q) -> ImageEditRequest:
        """See `ServedBackend.request`.

        Raises:
            SampleError: ``backend_error`` for a question that is not offered, or with an empty mask.
        """
        self.check(question)
        image, mask = question.picture.rgb, self.meant(question)
        canvas, openai = (
            self._options.canvas((image.shape[0], image.shape[1])),
            self._options.dialect == "openai",
        )
        placed = canvas.placed(image)
        height, width = canvas.size
        return ImageEditRequest(
            prompt=self.told(question),
            picture=ChatPicture(
                data=encode_png(placed), media_type="image/png", recipe=question.picture.recipe
            ),
            mask=ChatPicture(
                data=_mask_png(placed, canvas.placed_mask(mask), clear=openai),
                media_type="image/png",
                recipe={"mask": array_digest(mask)},
            ),
            mask_field="mask_image" if self._options.dialect == "vllm-omni" else "mask",
            fields={"size": f"{width}x{height}", **self._options.fields},
            seed=question.seed,
            seed_field="" if openai else "seed",
            context={"canvas": asdict(canvas)},
        )

    @classmethod
    @abstractmethod
    def check(cls, question: Q) -> None:
        """Raises `SampleError` for a question that cannot be asked."""

    def read(self, reply: PictureReply, request: ImageEditRequest) -> Image:
        """The answer (H, W, 3) uint8 at the size of the question's picture.

        Raises:
            BadReply: a `PictureReply.fault`, ``not_a_picture`` or ``other_shape``.
        """
        if reply.fault:
            raise BadReply(reply.fault)
        canvas = Canvas(**{name: tuple(size) for name, size in request.context["canvas"].items()})
        return canvas.cut(_decoded(reply.picture))


class ImageEditEditor(ImageEditBackend[EditQuestion]):
    """Edits a crop by its instruction."""

    role = "editor"
    offer = "tasks.backends.served.image_offers:ImageEditorOffer"

    @classmethod
    def told(cls, question: EditQuestion) -> str:
        """The instruction, which thing of several it means, and that the rest stays."""
        return keeping(crop_instruction(question))

    @classmethod
    def meant(cls, question: EditQuestion) -> Mask:
        """The target where its outline stays; its box where the outline may change; all where more may appear."""
        region = spec_of(question.edit_type).region
        if region is Region.OUTLINE or not question.mask.any():
            return question.mask
        if region is Region.CROP:
            return np.ones_like(question.mask)
        ys, xs = np.nonzero(question.mask)
        box = np.zeros_like(question.mask)
        box[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1] = True
        return box

    @classmethod
    def check(cls, question: EditQuestion) -> None:
        """See `ImageEditBackend.check`."""
        if question.edit_type not in GenerativeEditorOffer.edit_types:
            raise SampleError(Reason.BACKEND_ERROR, f"{question.edit_type} is not offered")
        if not question.mask.any():
            raise SampleError(Reason.BACKEND_ERROR, "the mask is empty inside the crop")


class ImageEditInpainter(ImageEditBackend[InpaintQuestion]):
    """Takes a thing out of a window by words."""

    role = "inpainter"
    Options = ImageRemovalOptions
    offer = "tasks.backends.served.image_offers:ImageRemovalOffer"

    @classmethod
    def told(cls, question: InpaintQuestion) -> str:
        """What to take out, and where it is."""
        return removal_instruction(question)

    @classmethod
    def meant(cls, question: InpaintQuestion) -> Mask:
        """The hole."""
        return question.hole

    @classmethod
    def check(cls, question: InpaintQuestion) -> None:
        """See `ImageEditBackend.check`."""
        if not question.hole.any():
            raise SampleError(Reason.BACKEND_ERROR, "the hole is empty")


def _mask_png(picture: Image, mask: Mask, *, clear: bool) -> bytes:
    """White where the edit is meant; with ``clear`` the picture itself, transparent there."""
    if not clear:
        return encode_png(mask)
    buffer = io.BytesIO()
    alpha = np.where(mask, 0, 255).astype(np.uint8)
    Pillow.fromarray(np.dstack([picture, alpha])).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _decoded(data: bytes) -> Image:
    """The pixels of an answer, (H, W, 3) uint8; an alpha channel is dropped."""
    try:
        with Pillow.open(io.BytesIO(data), formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_ANSWER_PIXELS:
                raise BadReply("not_a_picture", f"{picture.width} x {picture.height} px are too many")
            return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        raise BadReply("not_a_picture", "the bytes do not decode") from error
