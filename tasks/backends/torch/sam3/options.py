"""What both roles of SAM 3 can be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.backends.torch.checkpoints import IDLE, TorchOptions

VERSION = 1
"""Raised when the code around the model changes its answers."""

BATCHING = IDLE | {"pictures_per_forward", "pictures_kept", "threads"}
"""Options that change no result beyond the rounding that any batch changes."""


class Sam3Options(TorchOptions):
    """Which weights, and how many pictures are encoded together and remembered."""

    weights: str = Field(default="weights/sam3", min_length=1, description="folder of the checkpoint")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32",
        description="type of the vision and text towers; coordinates stay in float32, where half precision would be "
        "off by pixels",
    )
    pictures_per_forward: int = Field(default=8, ge=1, description="pictures encoded together")
    pictures_kept: int = Field(
        default=16,
        ge=0,
        description="pictures whose features stay on the device, shared by both roles; about 20 MB each in float32",
    )
    threads: int = Field(default=4, ge=1, description="CPU threads that squash the pictures of a batch")
