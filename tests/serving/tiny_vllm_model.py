"""A tiny model with random weights for a real vLLM."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.environments import vllm_python


def tiny_qwen_vl(folder: Path) -> Path:
    """A folder with a Qwen2.5-VL of 2 MB: configuration, random weights, tokenizer of bytes, chat template."""
    subprocess.run([vllm_python(), Path(__file__).parent / "tiny_qwen_vl.py", folder], check=True)
    return folder
