"""The recipes for Slurm and Kubernetes start the training command as it is, and pass on being asked to stop."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch")

from torch.distributed.run import get_args_parser

from intercog_model.training.config_files import load_config
from tests.intercog_model.runs import ROOT, command, log, overlay, saved_steps, write_samples

RECIPES = ROOT / "deploy" / "training"

SRUN = """#!{python}
import os, subprocess, sys
command = [word for word in sys.argv[1:] if not word.startswith("--kill")]
tasks = [
    subprocess.Popen(command, env=os.environ | {{"SLURM_PROCID": str(i), "SLURM_LOCALID": str(i), "SLURM_NTASKS": "2"}})
    for i in range(2)
]
open("tasks", "w").write(" ".join(str(task.pid) for task in tasks))
sys.exit(max(task.wait() for task in tasks))
"""
SCONTROL = """#!/bin/bash
echo "$@" >> scontrol.log
echo 127.0.0.1
"""


@pytest.mark.long
def test_a_job_of_slurm_that_is_signaled_saves_and_is_queued_again(tmp_path):
    """With stand-ins for srun and scontrol: two tasks get the signal that Slurm sends before a job's time is over."""
    release, out = write_samples(tmp_path / "release"), tmp_path / "out"
    config = overlay(tmp_path / "c.toml", release, out, steps=500, more="samples_per_step = 2")
    for name, text in (("srun", SRUN.format(python=sys.executable)), ("scontrol", SCONTROL)):
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(file.stat().st_mode | stat.S_IEXEC)
    given = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHON": sys.executable, "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1", "SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NODELIST": "here",
    }  # fmt: skip
    job = subprocess.Popen(
        ["bash", str(RECIPES / "slurm.sbatch"), *command(config)[2:]],
        cwd=tmp_path,
        env=os.environ | given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while job.poll() is None and not (out / "log.jsonl").exists():
        time.sleep(0.1)
    for task in (tmp_path / "tasks").read_text().split():
        os.kill(int(task), signal.SIGUSR1)
    output, _ = job.communicate(timeout=600)
    assert job.returncode == 75, output[-3000:]
    assert saved_steps(out)[-1] == log(out)[-1]["step"] < 500
    assert (tmp_path / "scontrol.log").read_text().splitlines()[-1] == f"requeue {os.getpid()}"


def test_the_job_of_slurm_is_told_ten_minutes_before_its_end():
    lines = (RECIPES / "slurm.sbatch").read_text().splitlines()
    assert "#SBATCH --signal=USR1@600" in lines
    assert "#SBATCH --requeue" in lines


def test_the_command_of_kubernetes_is_one_of_torchrun_and_of_training():
    service, job = yaml.safe_load_all((RECIPES / "kubernetes.yaml").read_text())
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    program, *arguments = container["command"]
    known = {entry["name"]: entry["value"] for entry in container["env"]} | {"JOB_COMPLETION_INDEX": "3"}
    for name, value in known.items():
        arguments = [argument.replace(f"$({name})", value) for argument in arguments]
    options = get_args_parser().parse_args(arguments)
    assert program.endswith("/torchrun")
    assert (options.module, options.training_script) == (True, "intercog_model.train")
    assert (int(options.nnodes), options.node_rank) == (job["spec"]["completions"], 3)
    assert int(options.nproc_per_node) == container["resources"]["limits"]["nvidia.com/gpu"]
    # what is left after processes were told to stop is for torchrun and the pod to end
    assert options.shutdown_timeout < pod["terminationGracePeriodSeconds"]
    shipped = [Path(a.partition("=")[2]) for a in options.training_script_args]
    assert load_config([ROOT / shipped[0]]).run.out
    assert options.master_addr == f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    assert service["spec"]["selector"] == job["spec"]["template"]["metadata"]["labels"]
    assert pod["subdomain"] == service["metadata"]["name"]
