"""A run that begins from a checkpoint of another one: with its numbers, in a folder of its own."""

import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from intercog_model import train  # noqa: E402
from intercog_model.errors import ConfigurationError  # noqa: E402
from intercog_model.training.checkpoint_folder import CheckpointFolder  # noqa: E402
from intercog_model.training.checkpoints import trained_tensors  # noqa: E402
from intercog_model.training.config_files import load_config  # noqa: E402
from intercog_model.training.run_folder import RunFolder  # noqa: E402
from tests.intercog_model.runs import CONFIGS, SMALL, log, overlay, trainer_of, write_samples  # noqa: E402


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return write_samples(tmp_path_factory.mktemp("data") / "release")


@pytest.fixture(scope="module")
def parent(release, tmp_path_factory):
    """A run of four steps with checkpoints after the second and the fourth, and its tensors at the end."""
    out = tmp_path_factory.mktemp("runs") / "parent"
    trainer = trainer_of(overlay(out.with_suffix(".toml"), release, out, steps=4, more=SMALL))
    trainer.run()
    return out, {name: value.clone() for name, value in tensors(trainer).items()}


def tensors(trainer):
    return trained_tensors(trainer.parts.model, trainer.optimizer, trainer.average)


def forked(tmp_path, release, fork, *, more=f"lr = 0.5\n{SMALL}", steps=6):
    config = overlay(tmp_path / "fork.toml", release, tmp_path / "fork", steps=steps, more=more)
    loaded = load_config([CONFIGS / "base.toml", CONFIGS / "debug_size.toml", config])
    with RunFolder(Path(loaded.run.out)) as folder:
        return train.prepare(loaded, torch.device("cpu"), folder, fork)


def stored(out):
    folder = CheckpointFolder(str(out))
    return folder.read(folder.names()[-1]).state


def test_a_fork_begins_with_all_numbers_of_its_parent_and_says_what_it_changed(
    parent, release, tmp_path, capsys
):
    fork = f"{parent[0]}/step-4"
    trainer = forked(tmp_path, release, fork)
    assert trainer.step == 4
    ours = tensors(trainer)
    assert ours.keys() == parent[1].keys()
    assert all(torch.equal(ours[name], value) for name, value in parent[1].items())
    assert trainer.position == stored(parent[0])["position"]
    assert f"forked from {parent[0]}/step-0000004." in capsys.readouterr().out
    trainer.run()
    assert [line["step"] for line in log(tmp_path / "fork")] == [5, 6]
    assert log(tmp_path / "fork")[0]["lr"] == pytest.approx(0.5 * 5 / 10)
    record = stored(tmp_path / "fork")["run"]
    theirs = stored(parent[0])["run"]
    assert record["parent"]["run"] == theirs["fingerprint"] != record["fingerprint"]
    assert (record["parent"]["step"], record["parent"]["changed"]) == (4, ["optim.lr: 0.5, was 0.001"])
    assert json.loads((tmp_path / "fork" / "run.json").read_text())["run"]["parent"] == record["parent"]


def test_a_fork_is_resumed_by_its_own_command_alone_even_without_its_parent(parent, release, tmp_path):
    gone = shutil.copytree(parent[0], tmp_path / "gone")
    forked(tmp_path, release, f"{gone}/step-2", steps=3).run()
    shutil.rmtree(gone)
    assert forked(tmp_path, release, f"{gone}/step-2").step == 3
    for other, told in (
        ("", "--fork: none, was step 2 of run"),
        (f"{parent[0]}/step-4", "--fork: step 4 of run"),
    ):
        with pytest.raises(ConfigurationError, match=f"belongs to another run: {told}"):
            forked(tmp_path, release, other)


def test_a_fork_on_other_data_begins_at_the_start_of_it(parent, tmp_path):
    other = write_samples(tmp_path / "other")
    manifest = json.loads((other / "MANIFEST.json").read_text())
    (other / "MANIFEST.json").write_text(json.dumps({"shards": manifest["shards"][:1]}))
    trainer = forked(tmp_path, other, f"{parent[0]}/step-4")
    assert trainer.step == 4
    assert trainer.position["mixture"] == {"taken": 0, "g": [0, 0, 0]}


@pytest.mark.parametrize(
    ("fork", "told"),
    [
        ("HERE/step-3", "no such checkpoint, there are those of steps: 2, 4"),
        ("HERE/nowhere/step-3", "nowhere: should be a run's folder"),
        ("step-3", "should be RUN/step-N"),
        ("HERE/export-4", "should be RUN/step-N"),
    ],
)
def test_a_checkpoint_that_is_not_there_is_named(fork, told, parent, release, tmp_path):
    with pytest.raises(ConfigurationError, match=told):
        forked(tmp_path, release, fork.replace("HERE", str(parent[0])))


def test_the_parents_own_folder_is_refused(parent, release, tmp_path):
    out = shutil.copytree(parent[0], tmp_path / "fork")
    with pytest.raises(
        ConfigurationError, match=r"belongs to another run: optim\.lr: .*--fork: step 2 of run"
    ):
        forked(tmp_path, release, f"{out}/step-2")
