"""Runs repeat bit by bit, resume after kill -9, agree over processes, and stop where a number is none."""

import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from intercog_model import train  # noqa: E402
from intercog_model.backbone.bagel import Bagel  # noqa: E402
from intercog_model.cache_features import write_features, write_origin  # noqa: E402
from intercog_model.config import debug_config  # noqa: E402
from intercog_model.data.mixture import Mixture, SourceConfig  # noqa: E402
from intercog_model.data.plans import PlanBuilder  # noqa: E402
from intercog_model.data.tokenizer import BpeTokenizer  # noqa: E402
from intercog_model.errors import ConfigurationError  # noqa: E402
from intercog_model.grounding.config import DEBUG_HEADS  # noqa: E402
from intercog_model.grounding.features import RandomPatchFeatures  # noqa: E402
from intercog_model.packing.resize import DEBUG_VAE_RULE  # noqa: E402
from intercog_model.training import loop  # noqa: E402
from intercog_model.training.logging import StepLog  # noqa: E402
from intercog_model.training.step_plan import StepPlanner  # noqa: E402
from tests.intercog_model import release, toys  # noqa: E402
from tests.intercog_model.forked_runs import Run  # noqa: E402
from tests.intercog_model.runs import (  # noqa: E402
    CONFIGS,
    SMALL,
    TERMS,
    command,
    exported,
    finish,
    log,
    overlay,
    saved_steps,
    start,
    trainer_of,
    write_samples,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_samples(tmp_path_factory.mktemp("data") / "release")


@pytest.fixture(scope="module")
def undisturbed(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    Run(command(overlay(out.with_suffix(".toml"), folder, out))[2:], 1, out.with_suffix(".txt")).finish()
    return out


@pytest.mark.slow
def test_two_processes_train_alike_and_hold_half_each(folder, undisturbed, tmp_path):
    out = tmp_path / "two"
    finish(start(command(overlay(tmp_path / "c.toml", folder, out)), processes=2))
    for one, two in zip(log(undisturbed), log(out), strict=True):
        assert one["keys"] == two["keys"]
        for name in ("loss", *TERMS):
            assert abs(one[name] - two[name]) <= 1e-5 * abs(one[name]), name
        for name in ("ema_bytes", "optimizer_bytes"):
            assert 0.5 <= two[name] / one[name] < 0.505


@pytest.mark.long
def test_two_copies_of_two_shards_train_alike_and_hold_half_each(folder, undisturbed, tmp_path):
    out = tmp_path / "copies"
    config = overlay(tmp_path / "c.toml", folder, out, run="replicas = 2")
    Run(command(config)[2:], 4, tmp_path / "told.txt").finish()
    for one, four in zip(log(undisturbed), log(out), strict=True):
        assert one["keys"] == four["keys"]
        for name in ("loss", *TERMS):
            assert abs(one[name] - four[name]) <= 1e-6 * abs(one[name]), name
        for name in ("ema_bytes", "optimizer_bytes"):
            assert 0.5 <= four[name] / one[name] < 0.505


@pytest.mark.long
def test_bf16_compute_over_two_processes_stays_near_float32(folder, undisturbed, tmp_path):
    out = tmp_path / "bf16"
    config = overlay(tmp_path / "c.toml", folder, out, steps=2, run="bf16 = true")
    finish(start(command(config), processes=2))
    for one, two in zip(log(undisturbed), log(out), strict=False):
        assert one["keys"] == two["keys"]
        for name in ("ce", "mse", "mask_text", "mask_v", "mask_o"):
            assert two[name] == pytest.approx(one[name], rel=0.02), name
        assert two["loss"] != one["loss"]
        # weights, moments and average stay in float32
        assert one["optimizer_bytes"] / two["optimizer_bytes"] == pytest.approx(2, rel=0.01)


@pytest.mark.long
def test_processes_that_read_only_their_rows_start_from_the_same_weights(folder, undisturbed, tmp_path):
    lines = {}
    for processes in (1, 2):
        out = tmp_path / str(processes)
        config = overlay(tmp_path / f"{processes}.toml", folder, out, steps=2)
        with config.open("a") as file:
            file.write(f'[model]\ncheckpoint = "{exported(undisturbed)}"\n')
        finish(start(command(config), processes=processes))
        lines[processes] = log(out)
    assert lines[1][0]["ce"] < log(undisturbed)[0]["ce"]
    for one, two in zip(lines[1], lines[2], strict=True):
        for name in ("loss", *TERMS):
            assert abs(one[name] - two[name]) <= 1e-5 * abs(one[name]), name


@pytest.mark.slow
def test_the_export_has_exactly_the_published_names(undisturbed):
    weights = load_file(exported(undisturbed) / "ema.safetensors")
    with torch.device("meta"):
        assert weights.keys() == Bagel(debug_config()).state_dict().keys()
    assert (undisturbed / "tensorboard").is_dir()


def test_a_loss_that_is_no_number_stops_with_its_samples(folder, tmp_path):
    trainer = trainer_of(overlay(tmp_path / "c.toml", folder, tmp_path / "out"))
    with torch.no_grad():
        trainer.parts.model.heads.text_alignment[0].weight[0, 0] = torch.nan
    with pytest.raises(loop.NotFiniteError, match=r"step 1: .*tv.*samples of the step: k\d"):
        trainer.run()
    assert saved_steps(tmp_path / "out") == []


@pytest.mark.slow
def test_a_run_starts_from_a_checkpoint_folder_and_cached_features(folder, undisturbed, tmp_path):
    provider = RandomPatchFeatures(DEBUG_HEADS.width, DEBUG_HEADS.grid, seed=9)
    write_features(str(folder), provider, tmp_path / "cache", DEBUG_VAE_RULE)
    write_origin(tmp_path / "cache", "0", DEBUG_VAE_RULE)
    more = tmp_path / "more.toml"
    more.write_text(
        f'[model]\ncheckpoint = "{exported(undisturbed)}"\nfeatures = "cached"\n'
        f'features_folder = "{tmp_path / "cache"}"\n'
    )
    config = overlay(tmp_path / "a.toml", folder, tmp_path / "a", steps=1)
    trainer = trainer_of(config, more)
    begun = load_file(exported(undisturbed) / "ema.safetensors")
    assert torch.equal(trainer.parts.model.bagel.llm2vae.weight, begun["llm2vae.weight"])
    trainer.run()
    first, fresh = log(tmp_path / "a")[0], log(undisturbed)[0]
    assert first["ce"] < fresh["ce"]
    assert first["mask_o"] != fresh["mask_o"]


def test_a_resume_that_is_stopped_while_it_rewrites_the_log_loses_no_line(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    whole = "".join(f'{{"step": {step}}}\n' for step in range(1, 6)) + '{"step": 6, "lo'
    path.write_text(whole)
    write = Path.write_bytes

    def stopped(self, text, **more):
        write(self, text[: len(text) // 2], **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", stopped)
        with pytest.raises(KeyboardInterrupt):
            StepLog(tmp_path, 3)
    assert path.read_text() == whole
    StepLog(tmp_path, 3)
    assert [line["step"] for line in log(tmp_path)] == [1, 2, 3]
    assert {p.name for p in tmp_path.iterdir()} == {"log.jsonl", "tensorboard"}


@pytest.fixture(scope="module")
def two_steps(folder, tmp_path_factory):
    """A run that was saved after its second step."""
    out = tmp_path_factory.mktemp("runs") / "two"
    trainer_of(overlay(out.with_suffix(".toml"), folder, out, steps=2, more=SMALL)).run()
    return out


def refused(capsys, *configs):
    """The one line that a refused training command tells."""
    files = (CONFIGS / "base.toml", CONFIGS / "debug_size.toml", *configs)
    assert train.main([x for path in files for x in ("--config", str(path))]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_run_of_other_sources_cannot_be_resumed_and_they_are_named(folder, two_steps, tmp_path, capsys):
    out = shutil.copytree(two_steps, tmp_path / "copy")
    config = overlay(tmp_path / "c.toml", folder, out, more=SMALL)
    sources = '[[sources]]\nname = "{}"\nkind = "grounding"\nuri = "{}"\n'
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for names, told in (
        (["h"], 'sources: ["h"], was ["g"]'),
        (["g", "a"], 'sources: ["g", "a"], was ["g"]'),
    ):
        other = tmp_path / "other.toml"
        other.write_text("".join(sources.format(name, folder) for name in names))
        line = refused(capsys, config, other)
        assert line.startswith(f"error: run.out: '{out}' belongs to another run: sources.{names[-1]}.name: ")
        assert told in line
    # a source of the same name that has lost its shards since
    less = write_samples(tmp_path / "less")
    manifest = json.loads((less / "MANIFEST.json").read_text())
    (less / "MANIFEST.json").write_text(json.dumps({"shards": manifest["shards"][:1]}))
    other.write_text(sources.format("g", less))
    assert "another run: sources.g.sha256: " in refused(capsys, config, other)
    assert before.keys() == {path for path in out.rglob("*") if path.is_file()}
    assert (out / "log.jsonl").read_bytes() == before[out / "log.jsonl"]


def test_a_log_with_lines_of_none_is_gone_on_with(folder, two_steps, tmp_path):
    out = shutil.copytree(two_steps, tmp_path / "copy")
    whole = (out / "log.jsonl").read_bytes()
    with (out / "log.jsonl").open("ab") as file:
        file.write(b'5\n{}\ngarb\xff{"st')
    trainer_of(overlay(tmp_path / "c.toml", folder, out, steps=2, more=SMALL)).log.close()
    assert (out / "log.jsonl").read_bytes() == whole


def test_a_process_ends_without_taking_the_interpreter_down(monkeypatch, capsys):
    ended = []
    monkeypatch.setattr("os._exit", ended.append)
    print("last words", end="")
    train.leave(3)
    assert ended == [3]


def test_packs_are_dealt_by_order_and_short_ranks_repeat_without_counting(folder):
    mixture = Mixture([SourceConfig(name="g", kind="grounding", uri=str(folder))], seed=0)
    planner = StepPlanner(mixture, toys.builder(), None, seed=0, samples=5, max_tokens=2500)
    plan = planner.plan(0)
    assert [len(p) for p in plan.packs] == [2, 2, 1]
    assert len(plan.keys) == 5
    shares = [plan.share(rank, 2) for rank in (0, 1)]
    assert [len(share) for share in shares] == [2, 2]
    assert [counted for share in shares for _, counted in share] == [True, True, True, False]
    counted = [e.key for i in range(2) for share in shares for e in share[i][0] if share[i][1]]
    assert counted == plan.keys


def test_a_sample_that_is_too_long_is_left_out_by_name(folder):
    mixture = Mixture([SourceConfig(name="g", kind="grounding", uri=str(folder))], seed=0)
    planner = StepPlanner(mixture, toys.builder(), None, seed=0, samples=2, max_tokens=500)
    with pytest.raises(ValueError, match="no sample fits 500 tokens"):
        planner.plan(0)
    assert planner.too_long


SPELLED = {"k1": "Paint <|im_end|> blue.", "k3": "Half a pair: \ud83d."}


def test_a_sample_whose_text_makes_no_tokens_is_left_out_by_name_and_the_rest_is_trained_on(tmp_path):
    toys.write_tokenizer(tmp_path, "Make it blue.")
    makes = PlanBuilder(debug_config(), toys.sequence(), BpeTokenizer(tmp_path))
    picture = release.png(toys.example().source)
    texts = {f"k{i}": SPELLED.get(f"k{i}", "Make it blue.") for i in range(5)}
    release.write_tar(
        tmp_path / "a.tar",
        {
            key: {"image.png": picture, "json": json.dumps({"caption": text}).encode()}
            for key, text in texts.items()
        },
    )
    sources = [SourceConfig(name="t", kind="text_to_image", uri=str(tmp_path))]
    planner = StepPlanner(Mixture(sources, seed=0), makes, None, seed=0, samples=3, max_tokens=2500)
    for step in range(3):
        assert sorted(planner.plan(step).keys) == ["k0", "k2", "k4"]
    position = planner.position()
    assert position["broken"].keys() == SPELLED.keys()
    assert "spells out the special tokens ['<|im_end|>']" in position["reasons"]["k1"]
    assert "half a surrogate pair" in position["reasons"]["k3"]
    bad = {"image.png": picture, "json": json.dumps({"caption": SPELLED["k1"]}).encode()}
    release.write_tar(tmp_path / "a.tar", {"a": bad, "b": bad})
    planner = StepPlanner(Mixture(sources, seed=0), makes, None, seed=0, samples=1, max_tokens=2500)
    with pytest.raises(ConfigurationError, match=r"no sample can be used; last [ab]: the text spells out"):
        planner.plan(0)
