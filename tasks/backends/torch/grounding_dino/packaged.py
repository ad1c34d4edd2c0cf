"""Open-vocabulary boxes by the package groundingdino-py, from the ``.pth`` files that IDEA published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tasks.backends.torch.checkpoints import checked_path, identity_of_weights
from tasks.backends.torch.grounding_dino.detector import (
    ANSWERING,
    VERSION,
    GroundingDetector,
    GroundingOptions,
)
from tasks.records.errors import ModelUnavailable
from tasks.records.records import ModelIdentity

if TYPE_CHECKING:
    from tasks.backends.torch.grounding_dino.detector import Network


class PackagedOptions(GroundingOptions):
    """A checkpoint file and the folder of the text encoder that it was trained with."""

    weights_are: ClassVar[Literal["file", "folder"]] = "file"
    weights: str = Field(
        default="weights/groundingdino_swint_ogc.pth", description="a .pth file with the package's names"
    )
    text_encoder: str = Field(
        default="weights/bert-base-uncased",
        description="folder of the text encoder as transformers writes it: tokenizer and sizes; its weights are "
        "replaced by those of the checkpoint",
    )
    short_side_px: int = Field(
        default=800, ge=32, description="shorter side of a picture as the network sees it"
    )
    long_side_px: int = Field(default=1333, ge=32, description="longer side at most")
    dtype: Literal["float32"] = Field(default="float32", description="the package computes in float32 only")


class PackagedDetector(GroundingDetector):
    """The package's network; captions, batches, scores and suppression are those of ``grounding-dino``.

    The package breaks on transformers 5, so that it needs an environment of its own (``pools.NAME.python``).
    """

    Options: ClassVar[type[PackagedOptions]] = PackagedOptions
    answering = ANSWERING | {"short_side_px", "long_side_px"}
    idle = GroundingDetector.idle | {"text_encoder"}

    @classmethod
    def identity_of(cls, options: PackagedOptions) -> ModelIdentity:
        """The file's name, with revision and digest as stated by the options or the lock file beside the file.

        Raises:
            ConfigurationError: no digest is stated, or option and lock file state different ones.
        """
        return identity_of_weights(
            options,
            role="detector",
            backend="groundingdino-py",
            model=f"GroundingDINO ({Path(options.weights).stem})",
            version=VERSION,
        )

    @classmethod
    def _load(cls, options: PackagedOptions) -> Network:
        path = checked_path(options, cls.identity_of(options).digest)
        try:
            from tasks.backends.torch.grounding_dino.packaged_network import PackagedNetwork  # noqa: PLC0415
        except ImportError as error:
            msg = f"the backend groundingdino-py needs PyTorch: {error}"
            raise ModelUnavailable(msg) from error
        size = {"shortest_edge": options.short_side_px, "longest_edge": options.long_side_px}
        return PackagedNetwork(path, Path(options.text_encoder), device=options.device, size=size)
