"""Weights & Biases gets what TensorBoard gets, in one run however often training is resumed."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from PIL import Image  # noqa: E402

from intercog_model import train  # noqa: E402
from intercog_model.errors import ConfigurationError  # noqa: E402
from intercog_model.training import devices, wandb_run  # noqa: E402
from intercog_model.training.logging import StepLog  # noqa: E402
from intercog_model.training.wandb_run import WandbRun  # noqa: E402
from tests.intercog_model.runs import command, log, overlay, trainer_of, write_samples  # noqa: E402


class Service:
    """What the package offers, and what it was given."""

    class Error(Exception):
        pass

    def __init__(self):
        self.begun, self.lines, self.metrics, self.ended = [], [], [], 0
        self.Image = lambda pixels: ("picture", pixels.shape)

    def init(self, **given):
        if given["project"] == "no key":
            raise self.Error("no key to log in")
        self.begun.append(given)
        return SimpleNamespace(log=self.lines.append, finish=self._end, define_metric=self._metric)

    def _end(self):
        self.ended += 1

    def _metric(self, name, step_metric):
        self.metrics.append((name, step_metric))


@pytest.fixture
def service(monkeypatch):
    found = Service()
    monkeypatch.setitem(sys.modules, "wandb", found)
    monkeypatch.setattr(wandb_run, "find_spec", lambda name: name == "wandb")
    return found


def test_numbers_and_pictures_of_a_step_are_shown(service, tmp_path):
    steps = StepLog(tmp_path, 0, WandbRun("mine", tmp_path, {"a": 1}))
    steps.write(3, {"loss": 2.5, "keys": ["k"], "reasons": {}})
    steps.show(4, {"validation/ce": 1.0}, {"k/V": Image.fromarray(np.zeros((4, 6, 3), np.uint8))})
    steps.close()
    assert service.lines == [
        {"step": 3, "loss": 2.5},
        {"step": 4, "validation/ce": 1.0, "k/V": ("picture", (4, 6, 3))},
    ]
    assert (service.ended, service.metrics) == (1, [("*", "step")])
    (given,) = service.begun
    assert (given["project"], given["config"], given["dir"]) == ("mine", {"a": 1}, str(tmp_path))


def test_a_resumed_run_goes_on_in_the_same_one_wherever_its_folder_lies(service, tmp_path):
    first, moved = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    WandbRun("mine", first, {})
    first.rename(moved)
    WandbRun("mine", moved, {})
    other = tmp_path / "other"
    other.mkdir()
    WandbRun("mine", other, {})
    ids = [given["id"] for given in service.begun]
    assert ids[0] == ids[1] != ids[2]
    assert {given["resume"] for given in service.begun} == {"allow"}


def test_a_service_that_refuses_is_told_with_the_key(service, tmp_path):
    with pytest.raises(ConfigurationError, match=r"run.wandb: 'no key': no key to log in"):
        WandbRun("no key", tmp_path, {})


def test_without_the_package_a_project_is_refused_before_the_folder_is_made(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(wandb_run, "find_spec", lambda _name: None)
    folder = write_samples(tmp_path / "release")
    mine = overlay(tmp_path / "c.toml", folder, tmp_path / "out", run='wandb = "mine"')
    assert train.main(command(mine)[2:]) == 2
    assert "run.wandb: 'mine', should be ''" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_run_shows_memory_seconds_speed_and_mfu_everywhere(service, tmp_path, monkeypatch, capsys):
    used = {"memory_allocated": 5, "memory_reserved": 9, "memory_peak": 7}
    monkeypatch.setattr("intercog_model.training.loop.device_memory", lambda _device: used)
    monkeypatch.setattr(devices, "device_name", lambda _device: "NVIDIA H100 80GB HBM3")
    folder = write_samples(tmp_path / "release")
    more = "samples_per_step = 1"
    trainer = trainer_of(
        overlay(tmp_path / "c.toml", folder, tmp_path / "out", steps=1, more=more, run='wandb = "mine"')
    )
    trainer.run()
    (line,) = log(tmp_path / "out")
    (shown,) = service.lines
    told = capsys.readouterr().out
    for name in (*used, "seconds", "tokens_per_second", "mfu"):
        assert shown[name] == line[name] > 0
        assert f"  {name} " in told
    assert {name: line[name] for name in used} == used
    assert 0 < line["mfu"] < 1
    assert service.ended == 1
