"""Checkpoints: what is saved is resumed, damage is named wherever it lies, and a run that is asked to stop saves."""

import json
import os
import random
import re
import shutil
import signal
import socket
import threading
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from intercog_model import export  # noqa: E402
from intercog_model.errors import ConfigurationError  # noqa: E402
from intercog_model.training import checkpoint_folder, checkpoint_storage  # noqa: E402
from intercog_model.training.checkpoint_folder import CheckpointFolder, DamagedCheckpointError  # noqa: E402
from intercog_model.training.checkpoints import Checkpoints, SaveError, trained_tensors  # noqa: E402
from intercog_model.training.stop_request import StopRequest  # noqa: E402
from tests.intercog_model.runs import SMALL, log, overlay, saved_steps, trainer_of, write_samples  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_samples(tmp_path_factory.mktemp("data") / "release")


@pytest.fixture(scope="module")
def four_steps(folder, tmp_path_factory):
    """A run with checkpoints of its steps 2 and 4, and its tensors after them."""
    out = tmp_path_factory.mktemp("runs") / "four"
    trainer = trainer_of(overlay(out.with_suffix(".toml"), folder, out, steps=4, more=SMALL))
    trainer.run()
    return out, {name: value.clone() for name, value in tensors(trainer).items()}


@pytest.fixture
def copied(four_steps, folder, tmp_path):
    """A copy of that run, its configuration, and the names of its checkpoints."""
    out = shutil.copytree(four_steps[0], tmp_path / "copy")
    config = overlay(tmp_path / "c.toml", folder, out, steps=4, more=SMALL)
    return out, config, CheckpointFolder(str(out)).names()


def tensors(trainer):
    return trained_tensors(trainer.parts.model, trainer.optimizer, trainer.average)


def equal(ours, theirs):
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_resumed_run_has_every_number_that_was_saved(copied, four_steps, capsys):
    trainer = trainer_of(copied[1])
    assert trainer.step == 4
    assert equal(tensors(trainer), four_steps[1])
    assert any(name.startswith("optimizer.exp_avg_sq.heads.") for name in four_steps[1])
    assert f"resumed after step 4 from {copied[2][1]}" in capsys.readouterr().out


def test_what_is_no_tensor_is_one_text_with_every_key(four_steps):
    checkpoints = CheckpointFolder(str(four_steps[0]))
    state = checkpoints.read(checkpoints.names()[-1]).state
    assert state["step"] == 4
    assert {"mixture", "broken", "too_long", "reasons"} <= state["position"].keys()
    assert state["config"]["optim"]["samples_per_step"] == 1


def test_training_that_goes_on_does_not_reach_what_is_being_saved(folder, tmp_path, monkeypatch):
    go_on = threading.Event()
    resolve = checkpoint_storage.CheckpointWriter.write_data

    def late(self, plan, planner):
        assert go_on.wait(60)
        return resolve(self, plan, planner)

    monkeypatch.setattr(checkpoint_storage.CheckpointWriter, "write_data", late)
    trainer = trainer_of(overlay(tmp_path / "c.toml", folder, tmp_path / "out", steps=2, more=SMALL))
    before = {name: value.clone() for name, value in tensors(trainer).items()}
    trainer.save()
    for value in tensors(trainer).values():
        value.add_(1.0)
    go_on.set()
    trainer.checkpoints.wait()
    again = trainer_of(overlay(tmp_path / "c.toml", folder, tmp_path / "out", steps=2, more=SMALL))
    assert equal(tensors(again), before)


def test_a_save_that_is_still_running_is_waited_for_and_told(folder, tmp_path, monkeypatch, capsys):
    due = threading.Event()
    finish, wait = CheckpointFolder.finish, Checkpoints.wait

    def slow(self, *arguments):
        assert due.wait(60)
        finish(self, *arguments)

    def waited(self):
        due.set()
        wait(self)

    monkeypatch.setattr(CheckpointFolder, "finish", slow)
    monkeypatch.setattr(Checkpoints, "wait", waited)
    run = overlay(tmp_path / "c.toml", folder, tmp_path / "out", steps=2, more=SMALL)
    run.write_text(run.read_text().replace("save_every = 2", "save_every = 1"))
    trainer = trainer_of(run)
    trainer.step = 1
    trainer.save()
    trainer.step = 2
    trainer.save()
    trainer.checkpoints.wait()
    told = capsys.readouterr().out
    assert re.search(r"step 2: waited \d+\.\d s for the checkpoint of step 1$", told, re.MULTILINE)
    assert saved_steps(tmp_path / "out") == [1, 2]


def test_a_save_that_fails_ends_the_run(folder, tmp_path, monkeypatch):
    trainer = trainer_of(overlay(tmp_path / "c.toml", folder, tmp_path / "out", steps=2, more=SMALL))
    monkeypatch.setattr(checkpoint_folder.obstore, "open_writer", lambda *_, **__: 1 / 0)
    with pytest.raises(SaveError, match="the checkpoint of step 2: ZeroDivisionError"):
        trainer.run()
    assert saved_steps(tmp_path / "out") == []


def test_a_byte_flipped_anywhere_is_named_and_the_checkpoint_before_is_taken(copied, four_steps, capsys):
    out, config, (before, newest) = copied
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    draws = random.Random(seed)
    files = sorted((out / newest).iterdir())
    assert [file.name for file in files] == ["00000.bin", "complete.json", "index.json"]
    # random places, and the ends of each file
    places = [(file, draws.randrange(file.stat().st_size)) for file in files for _ in range(2)]
    places += [(file, place) for file in files for place in (0, -1)]
    trainer = trainer_of(config)
    trainer.log.close()

    def restored():
        capsys.readouterr()
        found = trainer.checkpoints.restore(
            trainer.parts.model, trainer.optimizer, trainer.average, lambda _name, _state: None
        )
        return found["step"], capsys.readouterr().out

    for file, place in places:
        whole = file.read_bytes()
        flipped = bytearray(whole)
        flipped[place] ^= 1 << draws.randrange(8)
        file.write_bytes(flipped)
        step, told = restored()
        assert f"{newest} is damaged: {file.name} " in told, (file, place)
        assert f"resumed after step 2 from {before}" in told
        assert step == 2
        file.write_bytes(whole)
    assert restored()[0] == 4
    assert equal(tensors(trainer), four_steps[1])


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "longer", "of another checkpoint"])
@pytest.mark.parametrize("name", ["00000.bin", "index.json", "complete.json"])
def test_a_part_that_is_missing_cut_or_foreign_is_named(name, damage, copied, capsys):
    out, _, (before, newest) = copied
    path = out / newest / name
    whole = path.read_bytes()
    other = (out / before / name).read_bytes()
    contents = {"empty": b"", "cut": whole[:-1], "longer": whole + b" ", "of another checkpoint": other}
    path.unlink()
    if damage != "missing":
        path.write_bytes(contents[damage])
    if name == "complete.json" and damage == "missing":
        assert saved_steps(out) == [2]  # it was never finished
        return
    if name == "00000.bin" and damage == "of another checkpoint":
        trainer = trainer_of(copied[1])
        assert trainer.step == 2
        assert f"{newest} is damaged: 00000.bin fails the digest of " in capsys.readouterr().out
        return
    with pytest.raises(DamagedCheckpointError, match=r"index\.json|" + name.replace(".", r"\.")):
        CheckpointFolder(str(out)).read(newest)


def test_a_file_that_is_none_of_a_checkpoint_is_named(copied):
    out, _, (_, newest) = copied
    (out / newest / "notes.txt").write_text("mine")
    with pytest.raises(DamagedCheckpointError, match=r"notes\.txt is no file of it"):
        CheckpointFolder(str(out)).read(newest)


def test_where_every_checkpoint_is_damaged_nothing_starts_over(copied):
    out, config, names = copied
    for name in names:
        (out / name / "00000.bin").unlink()
    with pytest.raises(
        ConfigurationError, match=r"no checkpoint can be used; .*00000\.bin is missing; .*00000"
    ):
        trainer_of(config)


def test_damaged_and_unfinished_ones_go_when_the_next_is_whole(copied, folder, tmp_path):
    out, _, (before, newest) = copied
    (out / newest / "00000.bin").unlink()
    unfinished = out / "step-0000003.20260101T000000-0000"
    unfinished.mkdir()
    (unfinished / "00000.bin#1").write_text("a file that was being written")
    (out / "step-notes").mkdir()
    trainer_of(overlay(tmp_path / "c.toml", folder, out, steps=4, more=SMALL)).run()
    assert saved_steps(out) == [2, 4]
    left = {path.name for path in out.glob("step-*")}
    assert {before, "step-notes"} < left
    assert len(left) == 3
    assert newest not in left


def test_a_checkpoint_of_another_model_is_refused(copied):
    out, config, (_, newest) = copied
    checkpoints = CheckpointFolder(str(out))
    index = checkpoints.read(newest)
    tree = json.loads((out / newest / "index.json").read_text())
    assert tree["tensors"].pop("model.bagel.llm2vae.bias")
    tensors = {name: value for name, value in index.tensors.items() if name in tree["tensors"]}
    for file in ("complete.json", "index.json"):
        (out / newest / file).unlink()
    sizes = {"00000.bin": (out / newest / "00000.bin").stat().st_size}
    checkpoints.finish(newest, checkpoint_folder.Index(state=index.state, tensors=tensors), sizes)
    with pytest.raises(ConfigurationError, match=r"is of another model: \['model.bagel.llm2vae.bias'\]"):
        trainer_of(config)


def test_frozen_parameters_are_left_out(folder, tmp_path):
    config = overlay(tmp_path / "c.toml", folder, tmp_path / "out", steps=1, more=SMALL)
    trainer = trainer_of(config)
    vit = trainer.parts.model.bagel.vit_model.requires_grad_(False)
    names = tensors(trainer).keys()
    assert not any(".vit_model." in name for name in names)
    assert any(".vit_model." in name for name, _ in trainer.parts.model.named_parameters())
    assert sum(1 for name in names if name.startswith("model.")) == sum(
        1 for _ in trainer.parts.model.parameters()
    ) - sum(1 for _ in vit.parameters())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_lets_the_step_end_and_saves_it(number, folder, tmp_path):
    trainer = trainer_of(overlay(tmp_path / "c.toml", folder, tmp_path / "out", steps=9, more=SMALL))
    write = trainer.log.write

    def write_and_ask(step, values):
        write(step, values)
        if step == 2:
            os.kill(os.getpid(), number)

    trainer.log.write = write_and_ask
    before = signal.getsignal(number)
    trainer.run()
    # it is read once a step, together with the counts
    assert saved_steps(tmp_path / "out") == [2, 3]
    assert [line["step"] for line in log(tmp_path / "out")] == [1, 2, 3]
    assert signal.getsignal(number) is before


def test_threads_are_asked_nothing():
    found = []

    def enter():
        with StopRequest() as stop:
            found.append(stop.asked)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [""]


def test_a_place_that_is_none_is_refused_by_its_key(folder, tmp_path):
    config = overlay(tmp_path / "c.toml", folder, tmp_path / "out", run='checkpoints = "ftp://host/run"')
    with pytest.raises(
        ConfigurationError, match=r"run\.checkpoints: 'ftp://host/run', should be a folder or s3"
    ):
        trainer_of(config)


def test_checkpoints_lie_where_the_configuration_says(folder, tmp_path):
    place = Path(tmp_path) / "elsewhere"
    run = f'checkpoints = "{place}"'
    trainer_of(overlay(tmp_path / "c.toml", folder, tmp_path / "out", steps=1, more=SMALL, run=run)).run()
    assert saved_steps(place) == [1]
    assert saved_steps(tmp_path / "out") == []


def test_what_makes_a_checkpoint_whole_is_written_once_and_goes_first(copied, monkeypatch):
    out, _, (_, newest) = copied
    checkpoints = CheckpointFolder(str(out))
    index = checkpoints.read(newest)
    size = (out / newest / "00000.bin").stat().st_size
    checkpoints.finish(newest, index, {"00000.bin": size})  # a repeated request with the same bytes
    with pytest.raises(OSError, match=r"complete\.json"):
        checkpoints.finish(newest, index, {"00000.bin": size + 1})
    checkpoints.read(newest)

    def stopped(_path):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint_folder.shutil, "rmtree", stopped)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.remove(newest)
    assert saved_steps(out) == [2]
    assert (out / newest / "00000.bin").is_file()


@pytest.fixture
def nowhere(monkeypatch):
    """A bucket at an address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "word")
    plain = checkpoint_folder.from_url
    retries = {"max_retries": 0}
    monkeypatch.setattr(
        checkpoint_folder, "from_url", lambda *a, **options: plain(*a, **options, retry_config=retries)
    )
    return "s3://runs/a"


def test_a_store_that_does_not_answer_is_one_line_and_no_damage(nowhere, folder, tmp_path, capsys):
    config = overlay(tmp_path / "c.toml", folder, tmp_path / "out", run=f'checkpoints = "{nowhere}"')
    with pytest.raises(ConfigurationError, match=r"checkpoints cannot be looked for: s3://runs/a: [^\n]+$"):
        trainer_of(config)
    assert export.main([nowhere, "--out", str(tmp_path / "model")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: s3://runs/a: ")


def test_a_store_that_fails_while_one_is_read_says_nothing_against_it(copied, monkeypatch, capsys):
    def fail(*_):
        raise OSError("no route to host")

    monkeypatch.setattr(CheckpointFolder, "read_block", fail)
    with pytest.raises(OSError, match="no route to host"):
        trainer_of(copied[1])
    monkeypatch.setattr(CheckpointFolder, "read", fail)
    with pytest.raises(OSError, match="no route to host"):
        trainer_of(copied[1])
    assert "damaged" not in capsys.readouterr().out
