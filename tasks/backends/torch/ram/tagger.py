"""The taggers RAM++ and RAM: which of some thousand tags fit a picture, several pictures per forward."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from PIL import Image as PillowImage
from pydantic import Field

from tasks.backends.assets import joint_digest
from tasks.backends.torch.checkpoints import (
    IDLE,
    TorchOptions,
    checked_path,
    identity_of_weights,
    read_tensors,
    require_finite,
)
from tasks.backends.torch.ram.tag_lists import TagLists, read_tag_lists
from tasks.imaging.arrays import Image
from tasks.records.errors import ModelUnavailable, SampleError
from tasks.records.records import ModelIdentity, Tag
from tasks.records.settings_base import Settings
from tasks.roles.backend import LocalBackend
from tasks.roles.questions import TagQuestion

if TYPE_CHECKING:
    import torch

VERSION = 1
"""Raised when the code around the model changes its output."""

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue in 0..1; what both models were trained on."""


class RamPlusOptions(TorchOptions):
    """Which weights and lists, and how many tags are given. Lists enter the identity by content, not by path."""

    paths: ClassVar[tuple[str, ...]] = ("weights", "tags", "thresholds", "not_objects")

    weights_are: ClassVar[Literal["file", "folder"]] = "file"
    weights: str = Field(
        default="weights/ram_plus_swin_large_14m.pth",
        description="the published checkpoint, or one of its form",
    )
    tags: str = Field(default="weights/ram_tag_list.txt", description="the published list: one tag a line")
    thresholds: str = Field(
        default="weights/ram_tag_list_threshold.txt",
        description="the published thresholds: one probability a line, in the order of the tags",
    )
    not_objects: str = Field(
        default="",
        description="YAML file, tags by kind that name no object and are never given; empty: the project's own",
    )
    threshold_scale: float = Field(
        default=1.0, gt=0, le=1.5, description="factor on all thresholds below 1; less gives more tags"
    )
    max_tags: int = Field(default=30, ge=1, description="number of tags given at most")
    image_size: int = Field(
        default=384,
        ge=4,
        description="side of the square that a picture is squashed to, pixels; as in training",
    )
    unused: tuple[str, ...] = Field(
        default=(), description="how the names of tensors begin that the checkpoint holds for other tasks"
    )
    threads: int = Field(default=4, ge=1, description="CPU threads that squash the pictures of a batch")


class RamOptions(RamPlusOptions):
    """The same for RAM, whose checkpoint also holds a caption model."""

    weights: str = Field(
        default="weights/ram_swin_large_14m.pth", description="the published checkpoint, or one of its form"
    )
    unused: tuple[str, ...] = Field(
        default=("tag_encoder.", "text_decoder."),
        description="how the names of tensors begin that the checkpoint holds for other tasks",
    )


class RamPlusTagger(LocalBackend[TagQuestion, tuple[Tag, ...]]):
    """RAM++: the descriptions of a tag are weighted by the picture.

    A tag is given when its probability is above its own threshold. Equal bits are not promised, since they depend on
    the device and on the size of the batch.
    """

    Options: ClassVar[type[Settings]] = RamPlusOptions
    answering = frozenset({"dtype", "threshold_scale", "max_tags", "image_size"})
    # The lists change answers, but by what is in them: their digests are part of the identity's.
    idle = IDLE | {"tags", "thresholds", "not_objects", "unused", "threads"}
    reproducible = False
    wire = 1

    backend_name: ClassVar[str] = "ram-plus"
    model_name: ClassVar[str] = "RAM++"
    reweighted: ClassVar[bool] = True

    def __init__(self, options: RamPlusOptions) -> None:
        self._options = options
        weights = self._weights_identity(options)
        lists = self._lists(options)
        path = checked_path(options, weights.digest)
        try:
            import torch  # noqa: PLC0415 - heavy, and only backends on PyTorch need it

            from tasks.backends.torch.ram.loading import network_of  # noqa: PLC0415
        except ImportError as error:
            msg = f"the tagger {self.backend_name} needs PyTorch and safetensors (make setup-torch): {error}"
            raise ModelUnavailable(msg) from error
        network = network_of(
            read_tensors(path),
            path,
            image=options.image_size,
            tags=len(lists.names),
            reweighted=self.reweighted,
            unused=options.unused,
        )
        self._dtype = getattr(torch, options.dtype)
        self._network = network.to(device=options.device, dtype=self._dtype)
        self._names = lists.names
        self._limits = limits(lists, options.threshold_scale)
        color = torch.tensor([MEAN, DEVIATION], device=options.device)
        self._mean, self._deviation = color[:, :, None, None]

    @classmethod
    def identity_of(cls, options: RamPlusOptions) -> ModelIdentity:
        """Checkpoint and lists: the digest is over the checkpoint's stated digest and the contents of the lists.

        Raises:
            ConfigurationError: no digest is stated for the weights, or a list is missing, malformed or does not fit.
        """
        weights, lists = cls._weights_identity(options), cls._lists(options)
        shown = ", ".join(f"{name} {digest[:12]}" for name, digest in lists.digests.items())
        return replace(
            weights,
            revision=f"{weights.revision}, {shown}",
            digest=joint_digest({"weights": weights.digest, **lists.digests}),
        )

    def answer(self, questions: Sequence[TagQuestion]) -> list[tuple[Tag, ...] | SampleError]:
        """Tags of each picture, best first, from one forward over all of them."""
        squares = self._squares(questions)
        good = [square for square in squares if not isinstance(square, SampleError)]
        logits = iter(self._logits(np.stack(good)) if good else ())
        return [
            square if isinstance(square, SampleError) else _try(self._tags, next(logits))
            for square in squares
        ]

    @classmethod
    def _weights_identity(cls, options: RamPlusOptions) -> ModelIdentity:
        model = f"{cls.model_name} ({Path(options.weights).name})"
        return identity_of_weights(
            options, role="tagger", backend=cls.backend_name, model=model, version=VERSION
        )

    @classmethod
    def _lists(cls, options: RamPlusOptions) -> TagLists:
        where = f"tagger {cls.backend_name}"
        return read_tag_lists(options.tags, options.thresholds, options.not_objects, where)

    def _squares(self, questions: Sequence[TagQuestion]) -> list[Image | SampleError]:
        def square(question: TagQuestion) -> Image:
            return squash(question.picture.rgb, self._options.image_size)

        # Pillow computes outside of Python's lock; alone it takes longer than a GPU needs for the network.
        with ThreadPoolExecutor(self._options.threads) as pool:
            return list(pool.map(lambda question: _try(square, question), questions))

    def _logits(self, squares: Image) -> torch.Tensor:
        """(B, tags) float32 on the CPU, for squares (B, image, image, 3) uint8."""
        import torch  # noqa: PLC0415

        with torch.inference_mode():
            pixels = torch.from_numpy(squares).to(self._options.device).permute(0, 3, 1, 2).float().div(255)
            pixels = (pixels - self._mean) / self._deviation
            logits: torch.Tensor = self._network(pixels.to(self._dtype))
            return logits.float().cpu()

    def _tags(self, logits: torch.Tensor) -> tuple[Tag, ...]:
        """The tags of one picture, best first.

        Raises:
            SampleError: ``backend_error`` where a logit is not finite.
        """
        require_finite(logits, "a tag's logit")
        probabilities = logits.sigmoid()
        given = (probabilities > self._limits).nonzero().flatten().tolist()
        tags = [Tag(name=self._names[tag], score=round(float(probabilities[tag]), 4)) for tag in given]
        return tuple(sorted(tags, key=lambda tag: (-tag.score, tag.name))[: self._options.max_tags])


class RamTagger(RamPlusTagger):
    """RAM: one embedding per tag, the same for all pictures."""

    Options: ClassVar[type[Settings]] = RamOptions
    backend_name = "ram"
    model_name = "RAM"
    reweighted = False


def limits(lists: TagLists, scale: float) -> torch.Tensor:
    """(tags,) float32: the probability above which each tag is given; 1 where it never is.

    A published threshold of 1 switches a tag off, so that the scale must not bring it back.
    """
    import torch  # noqa: PLC0415

    thresholds = torch.tensor(lists.thresholds)
    scaled = torch.where(thresholds < 1, thresholds * scale, 1.0)
    return torch.where(torch.tensor(lists.objects), scaled, 1.0)


def squash(image: Image, side: int) -> Image:
    """The picture as a square, (side, side, 3): bilinear with antialiasing, the aspect ratio lost as in training."""
    square = PillowImage.fromarray(image).resize((side, side), PillowImage.Resampling.BILINEAR)
    return np.asarray(square, np.uint8)


def _try(make: Any, argument: Any) -> Any:
    """What ``make`` gives, or its `SampleError` without the frames that keep its pictures alive."""
    try:
        return make(argument)
    except SampleError as error:
        return error.with_traceback(None)
