"""Options that every served backend has: the server's model, and a sampling that is always stated in full."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from tasks.records.settings_base import Settings
from tasks.roles.placement import ServedModel

SAMPLING = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "presence_penalty",
        "frequency_penalty",
        "repetition_penalty",
        "max_tokens",
        "thinking",
        "fields",
    }
)
"""Options that change an answer without showing in the texts and pictures that are sent."""


class ServedOptions(Settings):
    """What is sent besides texts and pictures.

    The defaults are those of a judge: the likeliest answer. A value that the request leaves out is taken from the
    model's own generation settings by some servers, so every one is stated.
    """

    served: ServedModel | None = Field(
        default=None, description="what the server runs; comes from the server that run names"
    )
    max_pixels: int | None = Field(
        default=None, gt=0, description="pictures are sent no larger than this; null: than the server takes"
    )
    temperature: float = Field(default=0.0, ge=0, le=2, description="0: the likeliest token, always")
    top_p: float = Field(default=1.0, gt=0, le=1, description="share of probability that is drawn from")
    top_k: int = Field(default=-1, ge=-1, description="tokens that are drawn from; -1: all")
    min_p: float = Field(default=0.0, ge=0, le=1, description="least probability relative to the likeliest")
    presence_penalty: float = Field(default=0.0, ge=-2, le=2, description="against words that occurred")
    frequency_penalty: float = Field(
        default=0.0, ge=-2, le=2, description="against words that occurred often"
    )
    repetition_penalty: float = Field(default=1.0, gt=0, le=2, description="divides logits of what occurred")
    max_tokens: int = Field(default=64, ge=1, description="longest reply")
    thinking: bool = Field(default=False, description="let a model that can think before it answers do so")
    fields: Literal["vllm", "openai"] = Field(
        default="vllm",
        description="openai: without top_k, min_p, repetition_penalty and thinking, which some servers refuse",
    )
    picture_format: Literal["jpeg", "png"] = Field(default="jpeg", description="how pictures are encoded")

    @field_validator("max_pixels")
    @classmethod
    def _at_most_the_servers(cls, pixels: int | None, info: ValidationInfo) -> int | None:
        """A server would make a larger picture smaller by itself, in a way that no key names."""
        served = info.data.get("served")
        if pixels is not None and served is not None and pixels > served.max_pixels:
            msg = f"expected at most the server's model.max_pixels, {served.max_pixels}"
            raise ValueError(msg)
        return pixels

    @property
    def picture_pixels(self) -> int:
        """Pictures are sent no larger than this, in pixels: the role's or the server's limit."""
        return self.max_pixels or (self.served or ServedModel(id="none")).max_pixels

    def sampling(self) -> dict[str, Any]:
        """The sampling parameters under the names of the chat completions API."""
        stated: dict[str, Any] = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "max_tokens": self.max_tokens,
        }
        if self.fields == "vllm":
            stated["top_k"] = self.top_k
            stated["min_p"] = self.min_p
            stated["repetition_penalty"] = self.repetition_penalty
            stated["chat_template_kwargs"] = {"enable_thinking": self.thinking}
        return stated
