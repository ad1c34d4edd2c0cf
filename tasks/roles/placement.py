"""Where roles are answered: settings of pools and servers. `run` parts are in no digest; `model` parts are."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from tasks.records.settings_base import Settings

HERE = "here"
"""The placement that every build has: the worker's own process, CPU, one question at a time."""


class PoolSettings(Settings):
    """Actors that hold one or several roles in one process each, with a share of a GPU."""

    holds: tuple[str, ...] = Field(min_length=1, description="roles that one actor of the pool answers for")
    gpu_gb: float = Field(default=0.0, ge=0, description="GPU memory of one actor, GB; 0: no GPU")
    cpus: float = Field(default=1.0, ge=0, description="CPUs of one actor")
    replicas: int | Literal["auto"] = Field(default=1, description="actors; auto: as many as fit the GPUs")
    max_batch: int = Field(default=8, ge=1, description="questions in one call")
    max_wait_ms: float = Field(default=20.0, ge=0, description="longest wait for a batch to fill")
    resources: dict[str, float] = Field(default={}, description="custom Ray resources of one actor")
    ready_s: float = Field(default=1800.0, gt=0, description="longest wait for an actor to load")

    @field_validator("replicas")
    @classmethod
    def _positive(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            msg = "expected 1 or more, or 'auto'"
            raise ValueError(msg)
        return value


class ServedModel(Settings):
    """What a server runs, as far as it changes answers: part of the digest of every role it answers for."""

    id: str = Field(min_length=1, description="model id as the server names it")
    root: str = Field(
        default="",
        description="what the server lists as the id's root (path or repository); empty: not checked",
    )
    revision: str = Field(default="unstated", description="revision of the weights")
    quantization: str = Field(default="none", description="of the weights")
    dtype: str = Field(default="auto", description="of the computation")
    max_pixels: int = Field(
        default=1_048_576, gt=0, description="pictures are sent no larger than this, pixels"
    )
    template: str = Field(default="model's own", description="chat template: digest, or the model's own")
    generation_config: str = Field(
        default="none", description="server-side sampling defaults; none: ours are stated"
    )
    adapters: tuple[str, ...] = Field(default=(), description="LoRA adapters, in order")
    context_length: int = Field(default=32_768, gt=0, description="tokens")


class ServerSettings(Settings):
    """An OpenAI-style endpoint shared by the roles that name it."""

    model: ServedModel
    urls: tuple[str, ...] = Field(
        min_length=1, description="base URLs ending in /v1; questions are spread over them"
    )
    in_flight: int = Field(default=64, ge=1, description="requests at work at the same time, over all URLs")
    timeout_s: float = Field(
        default=600.0, gt=0, description="longest silence of a server that has a request"
    )
    patience_s: float = Field(
        default=900.0, gt=0, description="how long a server may be away before the build stops"
    )
    probe_s: float = Field(
        default=1.0,
        gt=0,
        description="pause before a server that failed is tried again; doubles up to a minute",
    )
    bad_replies: int = Field(
        default=2, ge=0, description="how often a question is asked again after a reply that cannot be read"
    )
    api_key_env: str = Field(default="", description="environment variable that holds the key")

    @field_validator("urls")
    @classmethod
    def _plain_urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        """Keys and users do not belong into a URL: it would end up in logs and stored configurations."""
        for url in urls:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                msg = f"{url!r}: expected http://host:port/v1 or https://…"
                raise ValueError(msg)
            if parts.username or parts.password or parts.query or parts.fragment:
                msg = "a URL may hold no user, key or query; name the key's variable in api_key_env"
                raise ValueError(msg)
        return urls
