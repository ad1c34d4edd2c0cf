"""Masks for boxes by the package segment-anything, from the ``.pth`` files that Meta published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tasks.backends.torch.checkpoints import checked_path, identity_of_weights
from tasks.backends.torch.sam.segmenter import VERSION, BoxSegmenter, SegmentOptions
from tasks.records.errors import ModelUnavailable
from tasks.records.records import ModelIdentity

if TYPE_CHECKING:
    from tasks.backends.torch.sam.network import SamNetwork


class SegmentAnythingOptions(SegmentOptions):
    """A checkpoint file; which ViT it is follows from its tensors."""

    weights_are: ClassVar[Literal["file", "folder"]] = "file"
    weights: str = Field(
        default="weights/sam_vit_h_4b8939.pth", description="a .pth file with the package's names"
    )
    dtype: Literal["float32"] = Field(default="float32", description="the package computes in float32 only")


class SegmentAnythingSegmenter(BoxSegmenter):
    """The package's networks, resizing and upsampling; batches and chunks are those of the backend ``sam``."""

    Options: ClassVar[type[SegmentAnythingOptions]] = SegmentAnythingOptions
    method = "segment-anything"

    @classmethod
    def identity_of(cls, options: SegmentAnythingOptions) -> ModelIdentity:
        """The file's name, with revision and digest as stated by the options or the lock file beside the file.

        Raises:
            ConfigurationError: no digest is stated, or option and lock file state different ones.
        """
        return identity_of_weights(
            options,
            role="segmenter",
            backend="segment-anything",
            model=f"Segment Anything ({Path(options.weights).stem})",
            version=VERSION,
        )

    @classmethod
    def _load(cls, options: SegmentAnythingOptions) -> SamNetwork:
        path = checked_path(options, cls.identity_of(options).digest)
        try:
            from tasks.backends.torch.sam.packaged_network import PackagedSam  # noqa: PLC0415
        except ImportError as error:
            msg = f"the backend segment-anything needs PyTorch (make setup-torch): {error}"
            raise ModelUnavailable(msg) from error
        return PackagedSam(path, device=options.device)
