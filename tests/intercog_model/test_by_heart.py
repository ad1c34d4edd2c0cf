"""A tiny model learns two samples by heart in a real run and passes the exam; an untrained one fails it by name."""

import json
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from intercog_model.by_heart.__main__ import learn_and_examine, main, prepare  # noqa: E402
from intercog_model.by_heart.exam import Aims, Check  # noqa: E402
from intercog_model.by_heart.samples import SIDE, choose, examples_of, photograph, target  # noqa: E402
from intercog_model.by_heart.start import taught  # noqa: E402
from intercog_model.data.chain_text import Sections  # noqa: E402
from intercog_model.data.tokenizer import BpeTokenizer  # noqa: E402
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


def laid_over(folder, text):
    path = folder / "mine.toml"
    path.write_text(text)
    return ["--config", str(path)]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--samples", "0"], "--samples 0: should be greater than or equal to 1"),
        (["--samples", "9"], "4 samples, 9 were asked for"),
        (["--vae-steps", "-1"], "--vae-steps -1: should be greater than or equal to 1"),
        (["--threads", "0"], "--threads 0: should be greater than or equal to 1"),
        (["--samples", "2", "--config", "/nowhere/mine.toml"], "/nowhere/mine.toml: No such file"),
    ],
)
def test_wrong_arguments_are_one_line_before_anything_is_learned(
    more, told, folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("intercog_model.by_heart.__main__.learn_and_examine", pytest.fail)
    assert main([str(folder), "--out", str(tmp_path / "out"), *more]) == 2
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
        assert main([str(tmp_path), "--out", str(tmp_path / "out")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {tmp_path}: no release: ")
        assert told in line


def test_photographs_with_several_targets_come_first_and_every_target_once_before_any_twice(folder):
    found = [example for _, example in examples_of(str(folder))]
    chosen = choose(found, 4)
    assert [photograph(e) for e in chosen[:2]] == ["p0", "p0"]
    assert [target(e) for e in chosen[:3]] == ["p0-t0", "p0-t1", "p1-t0"]
    assert chosen[3].key == "p0-t0-p1"
    with pytest.raises(ValueError, match="4 samples, 9 were asked for"):
        choose(found, 9)
    with pytest.raises(ValueError, match="no photograph with two targets"):
        choose([example for example in found if target(example) != "p0-t1"], 2)


def test_a_run_begins_from_small_pictures_whole_words_and_features_of_its_samples(folder, tmp_path):
    config = prepare(str(folder), tmp_path / "out", [], samples=2, vae_steps=1)
    originals = {example.key: example for _, example in examples_of(str(folder))}
    small = [example for _, example in examples_of(config.sources[0].uri)]
    assert {target(e) for e in small} == {"p0-t0", "p0-t1"}
    tokenizer = BpeTokenizer(tmp_path / "out" / "start")
    for example in small:
        original = originals[example.key]
        assert example.source.size == example.edited.size == (SIDE, SIDE * 3 // 4)
        assert example.mask.mean() == pytest.approx(original.mask.mean(), rel=0.02)
        assert example.sections == original.sections
        assert len(tokenizer.encode(example.instruction)[0]) == len(example.instruction.split()) + 1
        first, second = taught(example, tokenizer)
        assert first == f"<think>1. Scene description: {original.sections.scene}\n" + (
            f"2. Target location: {original.sections.target}"
        )
        assert second.endswith("</think>")
        assert (tmp_path / "out" / "features" / f"{example.key}.safetensors").is_file()
    assert prepare(str(folder), tmp_path / "out", [], samples=2, vae_steps=1) == config


def test_a_figure_that_is_no_number_fails():
    assert not Check(name="x", value=float("nan"), bound=0, at_least=True).passed
    assert not Check(name="x", value=float("nan"), bound=0, at_least=False).passed
    assert Check(name="x", value=0, bound=0, at_least=True).line().startswith("PASS")


def test_an_untrained_model_fails_by_name(folder, tmp_path, capsys):
    out = tmp_path / "out"
    short = laid_over(tmp_path, "[optim]\nsteps = 1")
    assert main([str(folder), "--out", str(out), "--samples", "2", "--vae-steps", "1", *short]) == 1
    found = json.loads((out / "exam.json").read_text())
    failed = {check["name"] for check in found if not check["passed"]}
    assert {"loss ce", "loss mse", "smallest IoU of mask_text"} <= failed
    assert "FAIL  loss ce" in capsys.readouterr().out


@pytest.mark.long
def test_two_samples_are_learned_and_every_aim_is_met(folder, tmp_path):
    path = tmp_path / "fast.toml"
    path.write_text("[optim]\nsteps = 300\nschedule_steps = 300\ndecay_steps = 180\nsamples_per_step = 2")
    config = prepare(str(folder), tmp_path / "out", [path], samples=2, vae_steps=100)
    # of two targets in one photograph a decoder without conditioning guesses one: half of them right on average
    checks = learn_and_examine(config, Aims(zeroed_iou=0.5))
    assert len(checks) == 7 + 6 + 1 + 7
    assert [check.line() for check in checks if not check.passed] == []
