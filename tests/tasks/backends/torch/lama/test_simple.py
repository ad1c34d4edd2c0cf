"""The package simple-lama-inpainting behind its backend, in an environment that the test makes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tasks.backends.torch.lama.inpainter import LamaOptions  # noqa: E402
from tasks.backends.torch.lama.simple import SimpleLamaInpainter  # noqa: E402
from tasks.records.errors import ConfigurationError, ModelUnavailable  # noqa: E402
from tests.tasks.backends.torch.tiny_lama import write_tiny_lama  # noqa: E402

ROOT = Path(__file__).resolve().parents[5]
REQUIREMENTS = ROOT / "deploy" / "requirements"

SCRIPT = """
import os, sys
import numpy as np
from tasks.backends.torch.lama.inpainter import LamaInpainter, LamaOptions
from tasks.backends.torch.lama.simple import MODEL_VARIABLE, SimpleLamaInpainter
from tests.tasks.backends.contract.makers import MAKERS
from tests.tasks.roles.contract import check_all
from pathlib import Path

folder = Path(sys.argv[1])
subject = MAKERS[("inpainter", "simple-lama")](folder)
check_all(subject)
assert MODEL_VARIABLE not in os.environ
# 72 x 96 needs no padding, which the package makes in another way. It truncates to bytes where ours rounds: one step,
# and with the overshoot of scaling up again two.
for limit, most in ((96, 2), (1024, 255)):
    options = LamaOptions(weights=str(folder / "big-lama.pt"), device="cpu", max_side_px=limit)
    ours, theirs = LamaInpainter(options), SimpleLamaInpainter(options)
    for a, b in zip(ours.answer(subject.questions), theirs.answer(subject.questions), strict=True):
        gap = np.abs(a.astype(int) - b.astype(int)).max()
        print("largest difference", gap)
        assert a.shape == b.shape
        assert gap <= most
"""


def test_without_the_package_the_error_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDEDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "simple_lama_inpainting", None)
    path = write_tiny_lama(tmp_path / "big-lama.pt", lock=False)
    options = LamaOptions(weights=str(path), device="cpu")
    with pytest.raises(ConfigurationError, match="inpainter simple-lama: no digest is stated"):
        SimpleLamaInpainter(options)
    write_tiny_lama(path)
    with pytest.raises(ModelUnavailable, match=r"deploy/requirements/simple-lama\.txt"):
        SimpleLamaInpainter(options)


@pytest.mark.slow
def test_the_package_keeps_the_contract_and_fills_as_our_own_code_does(tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    environment = {**os.environ, "UV_FIND_LINKS": os.environ.get("PIP_FIND_LINKS", "")}
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], check=True)
    files = [
        part for name in ("core", "torch", "simple-lama") for part in ("-r", REQUIREMENTS / f"{name}.txt")
    ]
    install = [*uv, "pip", "install", "--quiet", "--python", python, *files, "pytest==9.2.0"]
    subprocess.run(install, check=True, env=environment)
    run = subprocess.run(
        [python, "-c", SCRIPT, tmp_path / "weights"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT), "GROUNDEDIT_CACHE": str(tmp_path / "cache")},
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("largest difference") == 6, run.stdout
