"""A tiny model learns two samples by heart and passes the examination; an untrained one fails it by name."""

import json
import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from intercog_model.data.chain_text import Sections  # noqa: E402
from intercog_model.overfit import main  # noqa: E402
from intercog_model.training.by_heart import Overfit, OverfitSettings  # noqa: E402
from intercog_model.training.by_heart_exam import Aims, Check, examine  # noqa: E402
from intercog_model.training.by_heart_samples import MASK_SIDE, choose, photograph, shrunk, target  # noqa: E402
from tests.intercog_model import release, toys  # noqa: E402

LEFT = Sections(scene="Two boxes.", target="The left one.", edit="Recolor it.", result="A blue box, left.")
RIGHT = Sections(
    scene="Boxes, two.", target="On the right.", edit="Paint it.", result="The right one is blue."
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    left = toys.example("p0-t0-p0", boxes=((6, 8, 26, 36),), instruction="Paint the left box.")
    right = toys.example("p0-t1-p0", boxes=((36, 14, 60, 40),), instruction="The right box in blue.")
    examples = [
        toys.example("p1-t0-p0", boxes=((10, 10, 40, 30),)),
        replace(left, sections=LEFT),
        replace(left, key="p0-t0-p1", sections=LEFT),
        # one photograph shows both boxes, whichever of them is meant
        replace(right, source=left.source, sections=RIGHT),
    ]
    return release.write_release(tmp_path_factory.mktemp("data") / "release", examples)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--samples", "0"], "--samples 0: should be greater than or equal to 1"),
        (["--samples", "9"], "4 samples, 9 were asked for"),
        (["--vae-steps", "-1"], "--vae-steps -1: should be greater than or equal to 1"),
        (["--threads", "0"], "--threads 0: should be greater than or equal to 1"),
        (["--minutes", "nan"], "--minutes nan: should be a finite number"),
        (["--out", "/nowhere/found.json"], "--out /nowhere/found.json: its folder is not there"),
    ],
)
def test_wrong_arguments_are_one_line_before_anything_is_learned(more, told, folder, capsys, monkeypatch):
    monkeypatch.setattr("intercog_model.overfit.Overfit", pytest.fail)
    assert main([str(folder), *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert told in line


def test_a_folder_without_a_release_is_one_line(tmp_path, capsys):
    for text, told in (
        (None, "No such file"),
        ("[1]", "MANIFEST.json is none of a release"),
        ("{", "Expecting"),
    ):
        if text:
            (tmp_path / "MANIFEST.json").write_text(text)
        assert main([str(tmp_path)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {tmp_path}: no release: ")
        assert told in line


def test_photographs_with_several_targets_come_first_and_every_target_once_before_any_twice(folder):
    chosen = choose(str(folder), 4)
    assert [photograph(e) for e in chosen[:2]] == ["p0", "p0"]
    assert [target(e) for e in chosen[:3]] == ["p0-t0", "p0-t1", "p1-t0"]
    assert chosen[3].key == "p0-t0-p1"
    with pytest.raises(ValueError, match="4 samples, 9 were asked for"):
        choose(str(folder), 9)


def test_a_small_sample_keeps_the_place_of_its_target(folder):
    example = choose(str(folder), 1)[0]
    small = shrunk(example)
    assert small.source.size == small.edited.size == (32, 24)
    assert small.mask.shape == (MASK_SIDE * 3 // 4, MASK_SIDE)
    assert small.mask.mean() == pytest.approx(example.mask.mean(), rel=0.02)


def test_a_figure_that_is_no_number_fails():
    assert not Check(name="x", value=float("nan"), bound=0, at_least=True).passed
    assert not Check(name="x", value=float("nan"), bound=0, at_least=False).passed
    assert Check(name="x", value=0, bound=0, at_least=True).line().startswith("PASS")


def test_an_untrained_model_fails_by_name(folder, tmp_path, capsys):
    out = tmp_path / "found.json"
    assert main([str(folder), "--samples", "2", "--steps", "1", "--vae-steps", "1", "--out", str(out)]) == 1
    found = json.loads(out.read_text())
    failed = {check["name"] for check in found["checks"] if not check["passed"]}
    assert {"loss ce", "loss mse", "smallest IoU of mask_text"} <= failed
    assert "FAIL  loss ce" in capsys.readouterr().out


@pytest.mark.long
def test_two_samples_are_learned_and_every_aim_is_met(folder):
    # all steps, however busy the machine: what is learned is asked here, not how soon
    settings = OverfitSettings(steps=300, per_step=2, vae_steps=100, minutes=math.inf)
    overfit = Overfit(choose(str(folder), 2), settings)
    overfit.fit_autoencoder()
    before = overfit.losses(10**6)
    assert overfit.learn() == 300
    # of two targets in one photograph a decoder without conditioning guesses one: half of them right on average
    checks = examine(overfit, before, Aims(zeroed_iou=0.5))
    assert len(checks) == 7 + 6 + 1 + 7
    assert [check.line() for check in checks if not check.passed] == []
