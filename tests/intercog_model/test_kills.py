"""Runs of two processes killed at random moments and inside saves, stopped by signals, and resumed by other numbers."""

import json
import os
import random
import shutil
import signal
import time

import pytest

torch = pytest.importorskip("torch")
boto3 = pytest.importorskip("boto3")
server = pytest.importorskip("moto.server")

from intercog_model.training.checkpoint_folder import CheckpointFolder, step_of  # noqa: E402
from tests.intercog_model.forked_runs import Death, Run  # noqa: E402
from tests.intercog_model.runs import (  # noqa: E402
    SMALL,
    TERMS,
    command,
    log,
    overlay,
    saved_steps,
    without_times,
    write_samples,
)

STEPS = 6
TOLERANCE = 3e-7  # of losses, where sums are taken in another order


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_samples(tmp_path_factory.mktemp("data") / "release")


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """A run of two processes that nothing disturbs, with a checkpoint of each step."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    Run(arguments(folder, out, keep=STEPS), 2, out.with_suffix(".txt")).finish()
    return out


@pytest.fixture(scope="module")
def bucket():
    """Variables of the environment by which a process reaches a bucket `runs`."""
    threaded = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    threaded.start()
    endpoint = "http://{}:{}".format(*threaded.get_host_and_port())
    found = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "word",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in found.items():
            patch.setenv(name, value)
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        client.create_bucket(Bucket="runs")
        yield found
    threaded.stop()


def arguments(folder, out, *, keep=2, place="", run=""):
    lines = f'keep_checkpoints = {keep}\ncheckpoints = "{place}"\n{run}'
    config = overlay(out.with_suffix(".toml"), folder, out, steps=STEPS, more=SMALL, run=lines)
    config.write_text(config.read_text().replace("save_every = 2", "save_every = 1"))
    return command(config)[2:]


def numbers(place):
    """Digest of every piece of every tensor of the newest checkpoint."""
    checkpoints = CheckpointFolder(str(place))
    index = checkpoints.read(checkpoints.names()[-1])
    return {name: [piece.sha256 for piece in stored.pieces] for name, stored in index.tensors.items()}


def steps_logged(out):
    path = out / "log.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def death(draws):
    """A moment inside a save: at one of its writes, before or after the index, or while an old one is removed."""
    what = draws.choice(["write", "write", "put", "remove"])
    if what == "write":
        return Death(rank=draws.randrange(2), what="write", count=draws.randrange(1, 500))
    return Death(rank=0, what=what, count=draws.randrange(1, 3))


def kill_at_random(run, out, draws):
    """Kill all processes at a random moment of training; False if they had ended."""
    before = steps_logged(out)
    while run.alive() and steps_logged(out) <= before:
        time.sleep(0.005)
    time.sleep(draws.uniform(0, 1.5))
    alive = run.alive()
    run.kill()
    return alive


def disturbed(folder, out, place, environment, kills, draws):
    """Kill a run up to `kills` times, then let it end; how often it was killed, and how often inside a save."""
    given = arguments(folder, out, place=place)
    done = inside = 0
    for number in range(kills):
        at = death(draws) if number % 3 == 0 else None
        run = Run(given, 2, out.with_suffix(".txt"), death=at, environment=environment)
        if at is None:
            done += kill_at_random(run, out, draws)
            continue
        codes = run.wait()
        died = codes[at.rank] == -signal.SIGKILL
        done, inside = done + died, inside + died
        if not died:  # it came to its end before
            break
    Run(given, 2, out.with_suffix(".txt"), environment=environment).finish()
    return done, inside


@pytest.mark.parametrize(
    ("where", "kills"),
    [
        pytest.param("local", 5, marks=pytest.mark.slow),
        pytest.param("s3", 3, marks=pytest.mark.slow),
        pytest.param("local", 20, marks=pytest.mark.long),
        pytest.param("s3", 20, marks=pytest.mark.long),
    ],
)
def test_killed_runs_end_with_the_same_bits(where, kills, folder, whole, bucket, tmp_path):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    draws = random.Random(seed)
    done = inside = rounds = 0
    while done < kills:
        out = tmp_path / f"run-{rounds}"
        place = f"s3://runs/{where}-{kills}/{rounds}" if where == "s3" else ""
        found = disturbed(folder, out, place, bucket, kills - done, draws)
        assert without_times(log(out)) == without_times(log(whole))
        assert numbers(place or out) == numbers(whole)
        assert saved_steps(place or out) == [STEPS - 1, STEPS]
        done, inside, rounds = done + found[0], inside + found[1], rounds + 1
    print(f"killed {done} times in {rounds} runs, {inside} times inside a save")


LAYOUTS = {"2": (2, 1), "1": (1, 1), "3": (3, 1), "HSDP 2 x 2": (4, 2)}
"""Processes, and copies of the model among them."""


@pytest.mark.slow
def test_a_checkpoint_of_two_processes_is_resumed_by_any_number(folder, whole, tmp_path):
    """Every number is loaded bit by bit; what follows differs by the order of sums, in all but the same layout."""
    loaded = {}
    for name, (ranks, replicas) in LAYOUTS.items():
        out = shutil.copytree(whole, tmp_path / f"by-{ranks}")
        for path in CheckpointFolder(str(out)).names():
            if step_of(path) > STEPS // 2:
                shutil.rmtree(out / path)
        given = arguments(folder, out, keep=STEPS, run=f"replicas = {replicas}")
        said = Run(given, ranks, out.with_suffix(".txt"), dump=out.with_suffix(".json")).finish()
        assert f"resumed after step {STEPS // 2}" in said
        loaded[name] = json.loads(out.with_suffix(".json").read_text())
        assert loaded[name] == loaded["2"]
        gap = 0.0
        for one, other in zip(log(whole), log(out), strict=True):
            assert one["keys"] == other["keys"]
            assert one.keys() == other.keys()
            for term in one.keys() & {"loss", *TERMS}:
                gap = max(gap, abs(one[term] - other[term]) / max(abs(one[term]), 1.0))
        print(f"{name}: largest gap of a loss {gap:.1e}")
        assert gap <= TOLERANCE
        if name == "2":
            assert numbers(out) == numbers(whole)


@pytest.mark.slow
def test_a_signal_to_one_process_stops_all_after_the_same_step(folder, whole, tmp_path):
    out = tmp_path / "run"
    given = arguments(folder, out)
    run = Run(given, 2, out.with_suffix(".txt"))
    while run.alive() and steps_logged(out) < 2:
        time.sleep(0.005)
    os.kill(run.processes[1].pid, signal.SIGUSR1)
    said = run.finish(code=75)
    stopped = len(log(out))
    assert 2 <= stopped < STEPS
    assert saved_steps(out)[-1] == stopped
    assert f"asked to stop: saved after step {stopped}" in said
    Run(given, 2, out.with_suffix(".txt")).finish()
    assert without_times(log(out)) == without_times(log(whole))
    assert numbers(out) == numbers(whole)
