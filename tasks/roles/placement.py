"""Where roles are answered: settings of pools and servers. `run` parts are in no digest; `model` parts are."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from tasks.records.settings_base import Settings
from tasks.roles.serve_arguments import run_arguments

HERE = "here"
"""The placement that every build has: the worker's own process, CPU, one question at a time."""

MODELS_OWN = "model's own"
"""Of `ServedModel.template`: the template that comes with the weights."""

VLLM_DTYPES = ("auto", "half", "float16", "bfloat16", "float", "float32")
"""What vLLM takes as the type of its computation."""

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)


def checked_replicas(value: Any) -> Any:
    """``value`` if it is a number from 1 on, or ``"auto"``.

    Raises:
        ValueError: it is something else; said once, and not by each type of the union.
    """
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    msg = f"{value!r}: expected 1 or more, or 'auto'"
    raise ValueError(msg)


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
    python: str = Field(
        default="",
        description="absolute path of the interpreter in the actors' own environment; empty: that of the workers",
    )

    @field_validator("replicas", mode="before")
    @classmethod
    def _number_or_auto(cls, value: Any) -> Any:
        return checked_replicas(value)

    @field_validator("python")
    @classmethod
    def _absolute(cls, value: str) -> str:
        """Actors start in a folder of their own."""
        if value and not PurePath(value).is_absolute():
            msg = "expected an absolute path"
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
    template: str = Field(
        default=MODELS_OWN, description="chat template: SHA-256 of its file, or the model's own"
    )
    generation_config: str = Field(
        default="none", description="server-side sampling defaults; none: ours are stated"
    )
    adapters: tuple[str, ...] = Field(default=(), description="LoRA adapters, in order")
    context_length: int = Field(default=32_768, gt=0, description="tokens")


class ServeSettings(Settings):
    """How a build starts a server by itself. Nothing here may change an answer, so nothing here is hashed."""

    command: Literal["vllm"] = Field(default="vllm", description="kind of server")
    python: str = Field(min_length=1, description="path of the interpreter in the server's own environment")
    path: str = Field(
        default="", description="folder of the weights, or their repository; empty: the model's id"
    )
    gpu_gb: float = Field(
        default=0.0, ge=0, description="GPU memory on each of its cards, GB; 0: no GPU, a server for CPUs"
    )
    tensor_parallel: int = Field(
        default=1, ge=1, description="cards that hold the model together; more than one: whole cards"
    )
    replicas: int | Literal["auto"] = Field(
        default=1, description="equal servers that share the questions; auto: as many as fit the GPUs"
    )
    cpus: float = Field(default=0.0, ge=0, description="CPUs that one server reserves")
    resources: dict[str, float] = Field(default={}, description="custom Ray resources of one server")
    pictures: int = Field(
        default=4, ge=0, description="most pictures in a question; 0: the model takes texts alone"
    )
    template: str = Field(default="", description="file of the chat template, if not the model's own")
    args: dict[str, Any] = Field(
        default={}, description="further arguments by name (max-num-seqs: 64); none that changes an answer"
    )
    env: dict[str, str] = Field(default={}, description="further variables of the server's environment")
    ready_s: float = Field(default=1800.0, gt=0, description="longest wait for a server to load")

    @field_validator("replicas", mode="before")
    @classmethod
    def _number_or_auto(cls, value: Any) -> Any:
        return checked_replicas(value)

    @field_validator("args")
    @classmethod
    def _only_of_the_run(cls, args: dict[str, Any]) -> dict[str, Any]:
        """Arguments under the names of the command line; what belongs to the model would escape the digests."""
        return run_arguments(args)

    @field_validator("env")
    @classmethod
    def _no_secrets(cls, env: dict[str, str]) -> dict[str, str]:
        """The configuration is stored with the dataset."""
        for name in env:
            if _SECRET.search(name):
                msg = (
                    f"{name}: set it in the environment of the build instead, which passes on HF_* and VLLM_*"
                )
                raise ValueError(msg)
        return env

    @model_validator(mode="after")
    def _cards_have_memory(self) -> Self:
        if self.tensor_parallel > 1 and not self.gpu_gb:
            msg = f"tensor_parallel {self.tensor_parallel} needs gpu_gb, the memory taken on each card"
            raise ValueError(msg)
        return self


class ServerSettings(Settings):
    """An OpenAI-style endpoint shared by the roles that name it: one that runs, or one that the build starts."""

    model: ServedModel
    urls: tuple[str, ...] = Field(
        default=(), description="base URLs ending in /v1; questions are spread over them"
    )
    serve: ServeSettings | None = Field(
        default=None, description="instead of urls: how the build starts the server for its stages"
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

    @model_validator(mode="after")
    def _one_way_to_reach_it(self) -> Self:
        if bool(self.urls) == (self.serve is not None):
            msg = f"expected either urls or serve, got {'both' if self.serve else 'neither'}"
            raise ValueError(msg)
        if self.serve is None:
            return self
        if self.model.dtype not in VLLM_DTYPES:
            msg = f"model.dtype {self.model.dtype!r}: vllm takes {', '.join(VLLM_DTYPES)}"
            raise ValueError(msg)
        if len(self.model.adapters) > 1:
            msg = f"model.adapters: vllm answers with one adapter at a time, got {len(self.model.adapters)}"
            raise ValueError(msg)
        if (self.model.template == MODELS_OWN) == bool(self.serve.template):
            msg = (
                f"model.template {self.model.template!r} and serve.template {self.serve.template!r}: "
                "expected the SHA-256 of a file and the file, or neither"
            )
            raise ValueError(msg)
        return self


OnCards: TypeAlias = PoolSettings | ServeSettings
"""What takes GPU memory: a pool, or a server that the build starts."""
