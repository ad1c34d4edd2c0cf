"""Validation measures averaged weights on samples that training doesn't read, alike at any number of processes."""

import json

import pytest

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from torch.testing import assert_close  # noqa: E402

from intercog_model.backbone.attention import DenseAttend  # noqa: E402
from intercog_model.backbone.flow import training_time  # noqa: E402
from intercog_model.data.mixture import Mixture, SourceConfig  # noqa: E402
from intercog_model.errors import ConfigurationError  # noqa: E402
from intercog_model.grounding.reconstruction import mask_iou  # noqa: E402
from intercog_model.packing.masks import dense_masks  # noqa: E402
from intercog_model.training import validation  # noqa: E402
from intercog_model.training.validation import TIMES, FixedDraws, averaged  # noqa: E402
from intercog_model.validate import main  # noqa: E402
from tests.intercog_model import release, toys  # noqa: E402
from tests.intercog_model.forked_runs import Run  # noqa: E402
from tests.intercog_model.runs import (  # noqa: E402
    command,
    finish,
    log,
    overlay,
    start,
    trainer_of,
    without_times,
)

HELD_OUT = 5


def examples(prefix, count):
    return [toys.example(f"{prefix}{i}", boxes=((2 * i, i, 20 + 2 * i, 18 + i),)) for i in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "release"
    return release.write_release(path, examples("k", 4), 2, validation=examples("v", HELD_OUT))


SETTINGS = "[validation]\nevery = 2\nsamples = 3\npictures = 1\npoints = 3\nmax_tokens = 4\n"
SMALL = """
[sequence]
vae_rule = { max_side = 32, min_side = 16, stride = 4 }
vit_rule = { max_side = 28, min_side = 14, stride = 14 }
"""


def trainer(folder, out, text=SETTINGS, *, steps=2):
    extra = out.with_suffix(".more.toml")
    extra.write_text(text + SMALL)
    config = overlay(out.with_suffix(".toml"), folder, out, steps=steps, more="samples_per_step = 1")
    return trainer_of(config, extra)


def numbers(line):
    return {name: value for name, value in line.items() if isinstance(value, float)}


def figures(out):
    return [json.loads(line) for line in (out / "validation.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def validated(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "validated"
    run = trainer(folder, out)
    run.run()
    return run, out


def test_training_is_the_same_bit_by_bit_with_and_without_validation(validated, folder, tmp_path):
    trainer(folder, tmp_path / "plain", "").run()
    plain = without_times(log(tmp_path / "plain"))
    assert without_times(log(validated[1])) == plain
    assert len(plain) == 2
    assert not (tmp_path / "plain" / "validation.jsonl").exists()
    assert not {key for line in plain for key in line["keys"]} & {f"v{i}" for i in range(HELD_OUT)}


def test_it_is_made_before_the_first_step_and_after_the_last_with_figures_of_every_mask(validated):
    _run, out = validated
    first, last = figures(out)
    assert (first["step"], last["step"]) == (0, 2)
    names = {"loss", "ce", "mse", "tv", "vv", "mask_text", "mask_v", "mask_o", "iou_text", "iou_v", "iou_o"}
    names |= {f"mse_{percent}" for percent in (20, 40, 60, 80)}
    for line in (first, last):
        assert line.keys() == names | {"samples", "step", "pictures", "left_out"}
        assert line["samples"] == 3
        assert line["left_out"] == {}
    assert first["ce"] != last["ce"]
    assert first["pictures"] == []
    assert last["pictures"] == ["v0"]
    made = out / "validation" / "step-0000002"
    assert {p.name for p in made.iterdir()} == {
        f"v0.{name}" for name in ("edited.png", "grounded.png", "t1.txt", "t2.txt")
    }
    assert Image.open(made / "v0.edited.png").size == toys.example().source.size
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    board = EventAccumulator(str(out / "tensorboard"))
    board.Reload()
    assert [event.step for event in board.Scalars("validation/iou_v")] == [0, 2]
    assert [event.step for event in board.Images("v0/edited")] == [2]


def test_the_figures_are_those_of_the_averaged_weights(validated):
    run, out = validated
    model, objective = run.parts.model, run.parts.model.config
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    kept = {name: value.clone() for name, value in run.average.values.items()}
    errors, overlaps = [], []
    read = list(run.validation.validator._samples(3, lambda _number: True))
    with averaged(model, run.average), torch.no_grad():
        assert all(torch.equal(p, kept[name]) for name, p in model.named_parameters())
        for example in read:
            for time in TIMES:
                draws = FixedDraws(example.key, time, objective.timestep_shift)
                built = run.validation.validator.builder.build(example, draws)
                batch = run.parts.planner.packed([built])
                attend = DenseAttend(dense_masks(batch.packed))
                out_ = model.run_backbone(batch, toys.latents(run.parts.vae, batch), attend)
                errors.append((out_.velocity - out_.target).square().mean())
                logits = model.mask_logits(batch, 0, out_)["mask_v"]
                overlaps.append(mask_iou(logits, model.mask_goal(built.target)))
    last = figures(out)[-1]
    assert_close(last["mse"], float(torch.stack(errors).mean()), rtol=1e-5, atol=0)
    assert_close(last["mse_80"], float(torch.stack(errors[3::4]).mean()), rtol=1e-5, atol=0)
    assert_close(last["iou_v"], sum(overlaps) / len(overlaps), rtol=0, atol=1e-6)
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())
    assert all(torch.equal(kept[name], value) for name, value in run.average.values.items())
    assert any(not torch.equal(before[name], kept[name]) for name in before)


def test_a_block_that_fails_gives_the_parameters_back(validated):
    run, _out = validated
    before = {name: p.detach().clone() for name, p in run.parts.model.named_parameters()}
    with pytest.raises(RuntimeError), averaged(run.parts.model, run.average):
        raise RuntimeError
    assert all(torch.equal(before[name], p) for name, p in run.parts.model.named_parameters())


@pytest.mark.parametrize("ranks", [2, 4])
def test_any_number_of_processes_finds_the_same_bits(ranks, validated, monkeypatch):
    validator = validated[0].validation.validator
    alone = validator.validate(pictures=0).values
    tables, passes = [], []
    original = type(validator)._sums
    monkeypatch.setattr(type(validator), "_sums", lambda self, *b: passes.append(b) or original(self, *b))
    monkeypatch.setattr(validation, "sum_over_ranks", lambda table, _device: tables.append(table) or table)
    counted = []
    for rank in range(ranks):
        monkeypatch.setattr(validation, "world", lambda rank=rank: (rank, ranks))
        validator.validate(pictures=0)
        counted.append(len(passes))
        passes.clear()
    assert counted == [-(-3 // ranks) * len(TIMES)] * ranks
    total = {name: sum(table[name] for table in tables) for name in tables[0]}
    monkeypatch.setattr(validation, "sum_over_ranks", lambda _table, _device: total)
    assert validator.validate(pictures=0).values == alone


def test_noise_is_fixed_and_a_time_is_the_one_the_network_sees():
    for shift in (1.0, 4.0):
        for time in TIMES:
            raw = FixedDraws("v0", time, shift).normal("time O", 1)
            assert_close(float(training_time(raw, shift)), time, atol=1e-6, rtol=0)
    noise = [FixedDraws("v0", time, 4.0).normal("flow O", 3) for time in TIMES]
    assert all(torch.equal(noise[0], other) for other in noise)
    assert not torch.equal(noise[0], FixedDraws("v1", 0.2, 4.0).normal("flow O", 3))


def test_samples_that_cannot_be_used_are_named_and_the_rest_is_measured(tmp_path):
    held_out = [*examples("v", 2), toys.example("long", instruction="Make it blue. " * 300)]
    folder = release.write_release(
        tmp_path / "release",
        examples("k", 2),
        validation=held_out,
        change=lambda key, parts: parts | ({"edited.png": b"cut"} if key == "v0" else {}),
    )
    run = trainer(folder, tmp_path / "out", SETTINGS.replace("pictures = 1", "pictures = 0"), steps=1)
    found = run.validation.validator.validate(pictures=1)
    assert found.values["samples"] == 1
    assert found.left_out.keys() == {"v0", "long"}
    assert "rows, 4096 at most" in found.left_out["long"]
    assert found.pictures == {}


def test_training_reads_the_validation_split_only_when_told_and_then_it_cannot_be_validated(folder, tmp_path):
    for split, expected in (("train", "k" * 4), ("validation", "v" * 5), ("both", "k" * 4 + "v" * 5)):
        source = SourceConfig(name="g", kind="grounding", uri=str(folder), split=split)
        mixture = Mixture([source], seed=0)
        assert sorted(mixture.take().key[0] for _ in expected) == sorted(expected)
    with pytest.raises(ValueError, match="split: 'both', should be 'train' for the kind 'edit'"):
        SourceConfig(name="e", kind="edit", uri="x", split="both")
    told = r"validation\.every: 2, should be 0: "
    told_of_it = tmp_path / "told.toml"
    told_of_it.write_text(
        f'[[sources]]\nname = "g"\nkind = "grounding"\nuri = "{folder}"\nsplit = "both"\n' + SETTINGS + SMALL
    )
    with pytest.raises(ConfigurationError, match=told + "no source is a release of which"):
        trainer_of(overlay(tmp_path / "o.toml", folder, tmp_path / "out"), told_of_it)
    bare = release.write_release(tmp_path / "bare", examples("k", 2))
    with pytest.raises(ConfigurationError, match=told + "source 'g': .*no shards of the split 'validation'"):
        trainer(bare, tmp_path / "bare_out")


@pytest.mark.slow
def test_the_command_finds_what_training_found_with_any_number_of_processes(
    validated, folder, tmp_path, capsys
):
    _run, out = validated
    figures_file = tmp_path / "figures" / "figures.json"
    base = [str(out), "--out", str(figures_file.parent)]
    last = figures(out)[-1]
    assert main(base) == 0
    found = json.loads(figures_file.read_text())
    assert "validation after step 2  loss " in capsys.readouterr().out
    assert numbers(found) == pytest.approx(numbers(last), rel=1e-6)
    assert found["pictures"] == last["pictures"]
    for name in ("edited", "grounded"):
        ours, theirs = (
            np.array(Image.open(f / f"v0.{name}.png"), dtype=float)
            for f in (figures_file.parent, out / "validation" / "step-0000002")
        )
        assert np.abs(ours - theirs).max() <= 1
    more = ["--pictures", "0", "--step", "2", "--release", str(folder)]
    finish(start(["-m", "intercog_model.validate", *base, *more], 2))
    again = json.loads(figures_file.read_text())
    assert again == found | {"pictures": []}  # not a bit differs


def test_the_command_names_what_it_cannot_use(validated, tmp_path, capsys):
    _run, out = validated
    for arguments, told in (
        ([str(tmp_path / "nowhere")], "should be a run's folder"),
        ([str(out), "--step", "7"], "no checkpoint of step 7, there are 2"),
        ([str(out), "--samples", "0"], "--samples 0: should be greater than or equal to 1"),
        ([str(out), "--release", "/nowhere"], "/nowhere"),
    ):
        assert main(arguments) == 2
        line = capsys.readouterr().err.strip()
        assert line.startswith("error: ")
        assert told in line
        assert "\n" not in line


@pytest.mark.slow
def test_sharded_training_is_the_same_with_and_without_it_and_finds_what_one_process_finds(
    validated, folder, tmp_path
):
    lines = {}
    for name, text in (("plain", ""), ("two", SETTINGS)):
        out = tmp_path / name
        config = overlay(tmp_path / f"{name}.toml", folder, out, steps=2, more="samples_per_step = 1")
        config.write_text(config.read_text() + text + SMALL)
        Run(command(config)[2:], 2, tmp_path / f"{name}.txt").finish()
        lines[name] = without_times(log(out))
    assert lines["two"] == lines["plain"]
    two, one = figures(tmp_path / "two"), figures(validated[1])
    assert [line["step"] for line in two] == [0, 2]
    assert numbers(two[0]) == pytest.approx(numbers(one[0]), rel=1e-6)
    assert numbers(two[1]) == pytest.approx(numbers(one[1]), rel=1e-4)
    assert two[1]["pictures"] == one[1]["pictures"]
