"""Which arguments of a server a profile may give: those that only say how it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

ELSEWHERE = {
    "model": "serve.path",
    "served-model-name": "model.id",
    "revision": "model.revision",
    "code-revision": "model.revision",
    "tokenizer-revision": "model.revision",
    "quantization": "model.quantization",
    "dtype": "model.dtype",
    "max-model-len": "model.context_length",
    "mm-processor-kwargs": "model.max_pixels",
    "chat-template": "model.template",
    "generation-config": "model.generation_config",
    "override-generation-config": "model.generation_config",
    "enable-lora": "model.adapters",
    "lora-modules": "model.adapters",
    "limit-mm-per-prompt": "serve.pictures",
    "gpu-memory-utilization": "serve.gpu_gb",
    "device-memory-utilization": "serve.gpu_gb",
    "kv-cache-memory-bytes": "serve.gpu_gb",
    "tensor-parallel-size": "serve.tensor_parallel",
    "data-parallel-size": "serve.replicas",
    "hf-token": "HF_TOKEN in the environment",
}
"""Arguments of a server that are not given as such: the settings that they follow from."""

NEVER = frozenset(
    {
        # These change what is answered, and no field of `ServedModel` would put them into a digest.
        *("tokenizer", "tokenizer-mode", "skip-tokenizer-init", "config", "config-format", "hf-config-path"),
        *("hf-overrides", "load-format", "model-impl", "model-class-overrides", "model-loader-extra-config"),
        *("ignore-patterns", "runner", "convert", "kv-cache-dtype", "kv-cache-dtype-skip-layers", "seed"),
        *("calculate-kv-scales", "quantization-config", "mm-encoder-attn-dtype", "mm-encoder-only"),
        *(
            "mamba-cache-dtype",
            "mamba-ssm-cache-dtype",
            "rope-scaling",
            "rope-theta",
            "disable-sliding-window",
        ),
        *("logits-processors", "logits-processor-pattern", "logprobs-mode", "watermark", "watermark-config"),
        *("chat-template-content-format", "default-chat-template-kwargs", "trust-request-chat-template"),
        *("reasoning-parser", "reasoning-parser-plugin", "reasoning-config", "response-role"),
        *("structured-outputs-config", "lora-dtype", "lora-target-modules", "default-mm-loras"),
        *("pooler-config", "io-processor-plugin", "media-io-kwargs", "interleave-mm-strings"),
        *("video-pruning-rate", "video-pruning-method", "speculative-config", "additional-config"),
        # These say where it listens and who may ask, which is chosen at each start, or take more cards.
        *("host", "port", "uds", "api-key", "root-path", "headless"),
        *("pipeline-parallel-size", "prefill-context-parallel-size", "nnodes", "node-rank", "device-ids"),
        *("middleware", "distributed-executor-backend", "grpc-port", "tokens-only"),
        *("return-tokens-as-token-ids", "trust-request-mm-kwargs"),
    }
)
"""Arguments of a server that nobody may give."""

NEVER_BEGINNING = ("data-parallel-", "spec-", "mm-encoder-fp8-", "ssl-")
"""Beginnings of more of them."""

NAME = re.compile(r"[a-z][a-z0-9]{3,}(-[a-z0-9]+)*(\.[\w.-]+)?|[a-z][a-z0-9]*(-[a-z0-9]+)+(\.[\w.-]+)?")
"""Their names, without the dashes in front; a part after a dot is a key inside a JSON argument.

Short forms (``q``, ``tp``) are none: they stand for arguments that are refused.
"""


def run_arguments(args: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments under their names on the command line, without the dashes in front.

    Raises:
        ValueError: one follows from another setting, or may change an answer without any digest showing it.
    """
    named = {name.lstrip("-").replace("_", "-"): value for name, value in args.items()}
    for name in named:
        option = name.partition(".")[0].removeprefix("no-")
        if option in ELSEWHERE:
            msg = f"{name}: set {ELSEWHERE[option]} instead"
            raise ValueError(msg)
        if not NAME.fullmatch(name):
            msg = f"{name}: expected the long name of an argument (max-num-seqs)"
            raise ValueError(msg)
        if option in NEVER or option.startswith(NEVER_BEGINNING):
            msg = f"{name}: may not be given here, since it changes answers, addresses or cards"
            raise ValueError(msg)
    return named
