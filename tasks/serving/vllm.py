"""The command line and the environment of vLLM's OpenAI server, from a server's settings (vLLM 0.32)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.records.errors import ConfigurationError
from tasks.records.process_environment import direct, quiet
from tasks.records.user_path import user_path
from tasks.roles.placement import MODELS_OWN, ServedModel, ServerSettings, ServeSettings
from tasks.serving.supervised import ServerCommand

MODULE = "vllm.entrypoints.openai.api_server"
"""Started as a module: the command ``vllm`` is missing from builds for CPUs."""

MOST_OF_A_CARD = 0.95
"""The driver and the CUDA context keep a part of a card, so that a server of a whole card would not start."""

PASSED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "XDG_CACHE_HOME"),
        *("LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
    }
)
PASSED_PREFIXES = ("HF_", "VLLM_", "CUDA_", "NCCL_", "NVIDIA_", "TRITON_", "TORCH")
"""Variables that a server inherits. Those of a worker, such as thread limits, would slow it down."""

STRUCTURED = {"backend": "xgrammar", "disable_any_whitespace": True}
"""Without the second, constrained models have been seen to write blanks until their tokens are used up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a server listens and which devices it has.

    Attributes:
        host: address on which it listens, and at which it is reached.
        port: of it.
        card_gb: memory of a GPU, GB.
        visible: value of ``CUDA_VISIBLE_DEVICES``; None: as in this process.
    """

    host: str
    port: int
    card_gb: float
    visible: str | None = None


def vllm_command(
    settings: ServerSettings, place: Place, *, api_key: str, environment: Mapping[str, str]
) -> ServerCommand:
    """How the server is started.

    Args:
        settings: of the server, with ``serve``.
        place: where.
        api_key: that requests must have; empty: none. Goes into the environment, which only the user can read.
        environment: of this process.

    Raises:
        ConfigurationError: the chat template's file has another digest than the model states.
    """
    serve = _serve(settings)
    options = {
        **model_options(settings.model, serve),
        "host": place.host,
        "port": place.port,
        "disable-access-log-for-endpoints": "/health",
        **_device_options(serve, place.card_gb),
        **serve.args,
    }
    arguments = [serve.python, "-m", MODULE, *(word for pair in options.items() for word in _words(*pair))]
    return ServerCommand(
        arguments=tuple(arguments), environment=_environment(serve, place, api_key, environment)
    )


def model_options(model: ServedModel, serve: ServeSettings) -> dict[str, Any]:
    """What the model is, as options of the command; all of it stands in the digests of the roles."""
    adapter = model.adapters[0] if model.adapters else ""
    options: dict[str, Any] = {
        "model": serve.path or model.id,
        # Requests name the model's id; with an adapter it is the adapter that answers to it.
        "served-model-name": f"{model.id}-without-adapter" if adapter else model.id,
        "dtype": model.dtype,
        "max-model-len": model.context_length,
        "generation-config": "vllm" if model.generation_config == "none" else model.generation_config,
        "structured-outputs-config": STRUCTURED,
    }
    if model.revision != "unstated":
        options |= {"revision": model.revision, "tokenizer-revision": model.revision}
    if model.quantization != "none":
        options["quantization"] = model.quantization
    if model.template != MODELS_OWN:
        options["chat-template"] = _template(model.template, Path(serve.template))
    if adapter:
        options |= {"enable-lora": True, "lora-modules": f"{model.id}={adapter}"}
    if serve.pictures:
        options |= {
            "limit-mm-per-prompt": {"image": serve.pictures, "video": 0},
            "mm-processor-kwargs": {"max_pixels": model.max_pixels},
        }
    return options


def memory_share(serve: ServeSettings, card_gb: float) -> float:
    """Share of each of its cards that the server may take; 0 without a GPU."""
    return min(int(serve.gpu_gb / card_gb * 1000) / 1000, MOST_OF_A_CARD)


def _device_options(serve: ServeSettings, card_gb: float) -> dict[str, Any]:
    if not serve.gpu_gb:
        return {}
    return {
        "gpu-memory-utilization": memory_share(serve, card_gb),
        "tensor-parallel-size": serve.tensor_parallel,
    }


def _template(digest: str, file: Path) -> str:
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        msg = f"serve.template: {str(file)!r}: {error.strerror or error}"
        raise ConfigurationError(msg) from error
    if found != digest.removeprefix("sha256:"):
        msg = f"model.template: {digest!r}, but {str(file)!r} has SHA-256 {found}"
        raise ConfigurationError(msg)
    return str(file)


def _environment(serve: ServeSettings, place: Place, api_key: str, ours: Mapping[str, str]) -> dict[str, str]:
    passed = {
        name: value for name, value in ours.items() if name in PASSED or name.startswith(PASSED_PREFIXES)
    }
    folder = str(Path(serve.python).parent)
    chosen = {
        # Tools of its own environment, such as the compiler driver ninja, are found by name.
        "PATH": f"{folder}:{passed.get('PATH', '/usr/bin:/bin')}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        "HF_HUB_OFFLINE": passed.get("HF_HUB_OFFLINE", "1"),  # a build downloads nothing by itself
        **quiet(ours),
        **direct(ours, [place.host]),
        "VLLM_HOST_IP": place.host,
    }
    visible = {} if place.visible is None else {"CUDA_VISIBLE_DEVICES": place.visible}
    key = {"VLLM_API_KEY": api_key} if api_key else {}
    passed.pop("VLLM_API_KEY", None)
    return {**passed, **chosen, **serve.env, **visible, **key}


def _words(name: str, value: Any) -> list[str]:
    """An option as words of the command line."""
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    if isinstance(value, dict | list):
        return [f"--{name}", json.dumps(value)]
    return [f"--{name}", str(value)]


def _serve(settings: ServerSettings) -> ServeSettings:
    """With absolute paths, since the supervisor runs the server from the root of the file system."""
    serve = settings.serve
    if serve is None:
        msg = "serve: not given"
        raise ConfigurationError(msg)
    folder = _absolute(serve.path)
    return serve.model_copy(
        update={
            "python": _absolute(serve.python),
            # What is no folder here is a repository of the hub.
            "path": folder if serve.path and Path(folder).is_dir() else serve.path,
            "template": _absolute(serve.template) if serve.template else "",
        }
    )


def _absolute(path: str) -> str:
    """Links stay as they are: an environment's interpreter is one, and its target would be another environment."""
    return str(user_path(path).absolute())
