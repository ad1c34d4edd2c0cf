"""Small profiles with pools, servers and weights, for commands that look at a profile without running it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.backends.weights import write_lock
from tasks.stages.config import BuildConfig, load_config


def bagel_profile(weights: Path, *assignments: str, gpu_gb: float = 42.0) -> BuildConfig:
    """The embedded profile with an editor on a GPU."""
    pool = f"pools.painting={{holds: [editor], gpu_gb: {gpu_gb}}}"
    editor = f"editing.editor={{backend: bagel, run: painting, options: {{weights: {weights}}}}}"
    return load_config("embedded", [pool, editor, *assignments])


def served(url: str, **of_model: Any) -> str:
    """An assignment: a server ``vlm`` at an address."""
    model = ", ".join(f"{key}: {value}" for key, value in {"id": "test-model", **of_model}.items())
    return f"servers.vlm={{model: {{{model}}}, urls: ['{url}'], probe_s: 0.05}}"


def folder_of_weights(folder: Path, *, locked: bool = True) -> Path:
    """A folder that looks like a model."""
    folder.mkdir(parents=True)
    (folder / "ema.safetensors").write_bytes(b"tensors")
    (folder / "ae.safetensors").write_bytes(b"more tensors")
    if locked:
        write_lock(folder, "r1")
    return folder
