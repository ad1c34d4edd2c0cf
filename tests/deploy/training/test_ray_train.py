"""The training loop in workers of Ray Train gives the losses that processes of torchrun give."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")

from deploy.training.ray_train import main
from tests.intercog_model.forked_runs import Run
from tests.intercog_model.runs import ROOT, TERMS, command, finish, log, overlay, write_samples

# small pictures, of which two make two packs
SMALL = """
[sequence]
vae_rule = { max_side = 32, min_side = 16, stride = 4 }
vit_rule = { max_side = 42, min_side = 14, stride = 14 }
"""


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


@pytest.mark.long
def test_twenty_steps_of_two_workers_have_the_losses_of_torchrun(tmp_path):
    release = write_samples(tmp_path / "release")
    runs = {name: tmp_path / name for name in ("torchrun", "ray")}
    more = "samples_per_step = 2\nmax_tokens = 800"
    configs = {
        name: overlay(tmp_path / f"{name}.toml", release, out, steps=20, more=more)
        for name, out in runs.items()
    }
    for config in configs.values():
        config.write_text(config.read_text().replace("save_every = 2", "save_every = 20") + SMALL)
    Run(command(configs["torchrun"])[2:], 2, tmp_path / "torchrun.txt").finish()
    finish(ray_train(["--workers", "2", "--cpu", *command(configs["ray"])[2:]]))
    one, other = (log(out) for out in runs.values())
    assert len(one) == len(other) == 20
    assert {line["packs"] for line in one} == {2}
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
