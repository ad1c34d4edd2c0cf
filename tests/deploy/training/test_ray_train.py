"""The training loop in workers of Ray Train gives the losses that torchrun gives."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")

from deploy.training.ray_train import main
from tests.intercog_model.runs import ROOT, TERMS, command, finish, log, overlay, start, write_samples


def ray_train(arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.training.ray_train", *arguments],
        cwd=ROOT,
        env=os.environ
        | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_twenty_steps_of_two_workers_have_the_losses_of_torchrun(tmp_path):
    release = write_samples(tmp_path / "release")
    runs = {name: tmp_path / name for name in ("torchrun", "ray")}
    configs = {
        name: overlay(tmp_path / f"{name}.toml", release, out, steps=20, more="samples_per_step = 2")
        for name, out in runs.items()
    }
    finish(start(command(configs["torchrun"]), processes=2))
    finish(ray_train(["--workers", "2", "--cpu", *command(configs["ray"])[2:]]))
    one, other = (log(out) for out in runs.values())
    assert len(one) == len(other) == 20
    for ours, theirs in zip(one, other, strict=True):
        assert ours["keys"] == theirs["keys"]
        assert {name: ours[name] for name in ("loss", *TERMS)} == {
            name: theirs[name] for name in ("loss", *TERMS)
        }


def test_a_folder_that_workers_would_not_share_is_refused(tmp_path, capsys):
    release = write_samples(tmp_path / "release")
    config = overlay(tmp_path / "c.toml", release, "runs/here")
    assert main(["--workers", "2", "--cpu", *command(config)[2:]]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: run.out: 'runs/here', should be an absolute path")
