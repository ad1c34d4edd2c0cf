"""Runs repeat bit by bit, resume after kill -9, agree over processes, and log exactly their terms."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from intercog_model.backbone.bagel import Bagel  # noqa: E402
from intercog_model.cache_features import write_features  # noqa: E402
from intercog_model.config import debug_config  # noqa: E402
from intercog_model.data.mixture import Mixture, SourceConfig  # noqa: E402
from intercog_model.grounding.config import DEBUG_HEADS  # noqa: E402
from intercog_model.grounding.features import RandomPatchFeatures  # noqa: E402
from intercog_model.packing.resize import DEBUG_VAE_RULE  # noqa: E402
from intercog_model.training import loop  # noqa: E402
from intercog_model.training.checkpoints import checkpoints  # noqa: E402
from intercog_model.training.config import load_config  # noqa: E402
from intercog_model.training.step_plan import StepPlanner  # noqa: E402
from tests.intercog_model import release, toys  # noqa: E402

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "intercog_model" / "configs"
SMALL = "samples_per_step = 1"
TERMS = {"ce", "mse", "tv", "vv", "mask_text", "mask_v", "mask_o"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    examples = [toys.example(f"k{i}", boxes=((2 * i, i, 20 + 2 * i, 18 + i),)) for i in range(10)]
    return release.write_release(tmp_path_factory.mktemp("data") / "release", examples, per_shard=5)


def overlay(path, folder, out, *, steps=6, more="", run=""):
    path.write_text(
        f'[[sources]]\nname = "g"\nkind = "grounding"\nuri = "{folder}"\n'
        f"[optim]\nsteps = {steps}\n{more}\n"
        f'[run]\nout = "{out}"\nsave_every = 2\ndigest_every_step = true\n{run}\n'
    )
    return path


def command(config, name="base"):
    parts = ["-m", "intercog_model.train"]
    for path in (CONFIGS / f"{name}.toml", CONFIGS / "debug_size.toml", config):
        parts += ["--config", str(path)]
    return parts


def start(arguments, processes=1):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.Popen(
        launcher + arguments,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output[-3000:]
    return output


def log(out):
    return [json.loads(line) for line in (Path(out) / "log.jsonl").read_text().splitlines()]


def without_times(lines):
    return [{k: v for k, v in line.items() if k not in ("seconds", "tokens_per_second")} for line in lines]


@pytest.fixture(scope="module")
def undisturbed(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    finish(start(command(overlay(out.with_suffix(".toml"), folder, out))))
    return out


@pytest.mark.slow
def test_killed_runs_resume_to_the_same_bits(folder, undisturbed, tmp_path):
    out = tmp_path / "killed"
    config = overlay(tmp_path / "c.toml", folder, out)
    # kills at the first sign of: a step begun after a save, a save half written, a later step
    moments = ["step-0000002", "step-0000004.tmp", "step-0000004"]
    for moment in moments:
        process = start(command(config))
        while process.poll() is None and not (out / moment).exists():
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert "resumed after step" in finish(start(command(config)))
    assert without_times(log(out)) == without_times(log(undisturbed))
    ours, theirs = (load_file(o / "export" / "ema.safetensors") for o in (out, undisturbed))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.slow
def test_kills_at_any_moment_change_nothing(folder, undisturbed, tmp_path):
    out = tmp_path / "killed"
    config = overlay(tmp_path / "c.toml", folder, out)
    for wait in (0.3, 1.1, 1.9):  # seconds into the training itself, whatever it is doing then
        process = start(command(config))
        before = len(log(out)) if (out / "log.jsonl").exists() else 0
        while process.poll() is None and (len(log(out)) if (out / "log.jsonl").exists() else 0) <= before:
            time.sleep(0.01)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if checkpoints(out) and len(log(out)) >= 6:
            break
    finish(start(command(config)))
    assert without_times(log(out)) == without_times(log(undisturbed))


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_processes_that_read_only_their_rows_start_from_the_same_weights(folder, undisturbed, tmp_path):
    lines = {}
    for processes in (1, 2):
        out = tmp_path / str(processes)
        config = overlay(tmp_path / f"{processes}.toml", folder, out, steps=2)
        with config.open("a") as file:
            file.write(f'[model]\ncheckpoint = "{undisturbed / "export"}"\n')
        finish(start(command(config), processes=processes))
        lines[processes] = log(out)
    assert lines[1][0]["ce"] < log(undisturbed)[0]["ce"]
    for one, two in zip(lines[1], lines[2], strict=True):
        for name in ("loss", *TERMS):
            assert abs(one[name] - two[name]) <= 1e-5 * abs(one[name]), name


@pytest.mark.slow
def test_another_number_of_processes_cannot_resume(folder, undisturbed, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(undisturbed, out)
    process = start(command(overlay(tmp_path / "c.toml", folder, out, steps=8)), processes=2)
    output, _ = process.communicate(timeout=400)
    assert process.returncode != 0
    assert "was written by 1 processes, this run has 2" in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "terms"),
    [
        ("no_reasoning", {"mse"}),
        ("text_only", {"ce", "mse", "tv", "mask_text", "mask_o"}),
        ("vision_only", {"ce", "mse", "vv", "mask_v", "mask_o"}),
        ("no_reconstruction", {"ce", "mse", "tv", "vv"}),
        ("no_alignment", {"ce", "mse", "mask_text", "mask_v", "mask_o"}),
        ("layer_3", TERMS),
        ("layer_10", TERMS),
        ("layer_28", TERMS),
    ],
)
def test_each_ablation_runs_and_logs_exactly_its_terms(name, terms, folder, tmp_path):
    out = tmp_path / name
    finish(start(command(overlay(tmp_path / "c.toml", folder, out, steps=1), name)))
    line = log(out)[0]
    assert {term for term in TERMS if term in line} == terms
    text = (CONFIGS / f"{name}.toml").read_text().splitlines()
    assert len([x for x in text if x and not x.startswith(("#", "base"))]) <= 2


@pytest.mark.slow
def test_the_export_has_exactly_the_published_names(undisturbed):
    weights = load_file(undisturbed / "export" / "ema.safetensors")
    with torch.device("meta"):
        assert weights.keys() == Bagel(debug_config()).state_dict().keys()
    assert (undisturbed / "tensorboard").is_dir()


def test_a_loss_that_is_no_number_stops_with_its_samples(folder, tmp_path):
    trainer = trainer_of(overlay(tmp_path / "c.toml", folder, tmp_path / "out"))
    with torch.no_grad():
        trainer.parts.model.heads.text_alignment[0].weight[0, 0] = torch.nan
    with pytest.raises(loop.NotFiniteError, match=r"step 1: .*tv.*samples of the step: k\d"):
        trainer.run()
    assert not checkpoints(tmp_path / "out")


def trainer_of(config):
    from intercog_model.training.build import build  # noqa: PLC0415

    loaded = load_config([CONFIGS / "base.toml", CONFIGS / "debug_size.toml", config])
    return loop.Trainer(loaded, build(loaded, torch.device("cpu")), torch.device("cpu"))


@pytest.mark.parametrize(
    "change",
    [
        "[loss]\nweight_ce = 0.5",
        "[loss]\nweight_mse = 0.5",
        "[loss]\ntimestep_shift = 1.0",
        "[loss]\nfreeze_und = true",
        "[loss]\nreweight_ce = true",
        "[run]\nseed = 5",
        "[optim]\nlr = 0.0",
        "[optim]\nbeta1 = 0.5",
        "[optim]\nbeta2 = 0.5",
        "[optim]\neps = 1e-2",
        "[optim]\nweight_decay = 0.5",
        "[optim]\nclip_norm = 0.1",
        "[optim]\nwarmup_steps = 1",
        "[optim]\nema_decay = 0.5",
        "[optim]\nmax_tokens = 1500",
        "[optim]\nsamples_per_step = 2",
        "[grounding]\nweight_tv = 0.5",
        "[grounding]\nweight_vv = 0.5",
        "[grounding]\nweight_mask = 0.5",
        "[sequence]\ndrop_vae = 1.0",
        "[sequence]\ndrop_vit = 1.0",
        "[sequence]\ndrop_text = 1.0",
        "[sequence]\nthink_tags = 'pair per text'",
        "[sequence]\nannounce_images = true",
    ],
)
@pytest.mark.slow
def test_every_switch_changes_the_run(change, folder, tmp_path):
    results = []
    for name, text in (("a", ""), ("b", change)):
        config = overlay(tmp_path / f"{name}.toml", folder, tmp_path / name, steps=2)
        extra = tmp_path / f"{name}2.toml"
        extra.write_text(text)
        loaded = load_config([CONFIGS / "base.toml", CONFIGS / "debug_size.toml", config, extra])
        trainer = loop.Trainer(loaded, loop_parts(loaded), torch.device("cpu"))
        trainer.run()
        line = without_times(log(tmp_path / name))[-1]
        results.append((line["loss"], line["ema_digest"], line["optimizer_digest"], line["packs"]))
    assert results[0] != results[1]


def loop_parts(loaded):
    from intercog_model.training.build import build  # noqa: PLC0415

    return build(loaded, torch.device("cpu"))


@pytest.mark.slow
def test_switches_of_the_run_itself(folder, tmp_path):
    run = "keep_checkpoints = 3\npeak_tflops = 0.001"
    trainer = trainer_of(overlay(tmp_path / "a.toml", folder, tmp_path / "a", steps=8, more=SMALL, run=run))
    trainer.run()
    assert [p.name for p in checkpoints(tmp_path / "a")] == ["step-0000004", "step-0000006", "step-0000008"]
    assert log(tmp_path / "a")[-1]["mfu"] > 0
    other = trainer_of(overlay(tmp_path / "b.toml", folder, tmp_path / "b", steps=1, more=SMALL))
    other.run()
    assert "mfu" not in log(tmp_path / "b")[0]
    assert [p.name for p in checkpoints(tmp_path / "b")] == ["step-0000001"]


@pytest.mark.slow
def test_a_run_starts_from_a_checkpoint_folder_and_cached_features(folder, undisturbed, tmp_path):
    provider = RandomPatchFeatures(DEBUG_HEADS.width, DEBUG_HEADS.grid, seed=9)
    write_features(str(folder), provider, tmp_path / "cache", DEBUG_VAE_RULE)
    more = tmp_path / "more.toml"
    more.write_text(
        f'[model]\ncheckpoint = "{undisturbed / "export"}"\nfeatures = "cached"\n'
        f'features_folder = "{tmp_path / "cache"}"\n'
    )
    config = overlay(tmp_path / "a.toml", folder, tmp_path / "a", steps=1)
    loaded = load_config([CONFIGS / "base.toml", CONFIGS / "debug_size.toml", config, more])
    trainer = loop.Trainer(loaded, loop_parts(loaded), torch.device("cpu"))
    begun = load_file(undisturbed / "export" / "ema.safetensors")
    assert torch.equal(trainer.parts.model.bagel.llm2vae.weight, begun["llm2vae.weight"])
    trainer.run()
    first, fresh = log(tmp_path / "a")[0], log(undisturbed)[0]
    assert first["ce"] < fresh["ce"]
    assert first["mask_o"] != fresh["mask_o"]


@pytest.mark.slow
def test_recomputed_layers_give_the_same_gradients(folder, tmp_path):
    lines = []
    for name, run in (("a", ""), ("b", "activation_checkpointing = true")):
        trainer = trainer_of(overlay(tmp_path / f"{name}.toml", folder, tmp_path / name, steps=1, run=run))
        assert trainer.parts.model.bagel.language_model.checkpoint_layers == (name == "b")
        trainer.run()
        lines.append(log(tmp_path / name)[0])
    assert lines[0]["grad_norm"] == pytest.approx(lines[1]["grad_norm"], rel=1e-6)


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


def test_configuration_faults_are_named(tmp_path, folder):
    for text, match in (
        ("[run]\nsped = 1", r"unknown keys \['run.sped'\]"),
        ("[optim]\nsteps = 'many'", "optim.steps"),
        ("[run]\nattention = 'sparse'", "sparse"),
        ("[grounding]\nhidden = 'middle'", "middle"),
        ("[sequence]\nfeedback = 'none'", "none"),
        ("[model]\nflavour = 'huge'", "huge"),
    ):
        path = tmp_path / "bad.toml"
        path.write_text(text)
        with pytest.raises(ValueError, match=match):
            load_config([path])
    flex = overlay(tmp_path / "flex.toml", folder, tmp_path / "o", run='attention = "flex"')
    with pytest.raises(ValueError, match="no backward on a CPU"):
        trainer_of(flex)
