"""Every switch of a training configuration does something, and every ablation logs exactly its terms."""

import shutil

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from intercog_model import train  # noqa: E402
from intercog_model.backbone.layers import layers_of  # noqa: E402
from intercog_model.errors import ConfigurationError  # noqa: E402
from intercog_model.grounding.config import DEBUG_HEADS  # noqa: E402
from intercog_model.grounding.features import build_encoder  # noqa: E402
from intercog_model.grounding.heads import GroundingHeads  # noqa: E402
from intercog_model.training.config_files import load_config  # noqa: E402
from tests.intercog_model import release, toys  # noqa: E402
from tests.intercog_model.runs import (  # noqa: E402
    CONFIGS,
    SMALL,
    TERMS,
    log,
    overlay,
    saved_steps,
    trainer_of,
    without_times,
    write_samples,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_samples(tmp_path_factory.mktemp("data") / "release")


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
    trainer_of(overlay(tmp_path / "c.toml", folder, out, steps=1), name=name).run()
    line = log(out)[0]
    assert {term for term in TERMS if term in line} == terms
    text = (CONFIGS / f"{name}.toml").read_text().splitlines()
    assert len([x for x in text if x and not x.startswith(("#", "base", "run"))]) <= 2


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
        "[optim]\nsamples_per_step = 3",
        "[grounding]\nweight_tv = 0.5",
        "[grounding]\nweight_vv = 0.5",
        "[grounding]\nweight_mask = 0.5",
        "[grounding]\nalign_layer = 28",
        "[grounding]\nhidden = 'before norm'",
        "[grounding]\ntext = 'section 2'",
        "[grounding]\nregion_coverage = 1.0",
        "[grounding]\nvit_target = 'connector'",
        "[grounding]\ndetach_targets = false",
        "[grounding]\nvv_region = 'target'",
        "[grounding]\ntrain_decoder = false",
        "[grounding]\ndetach_hidden = true",
        "[sequence]\ntext_reasoning = false",
        "[sequence]\nvisual_reasoning = false",
        "[sequence]\nsystem_prompt = false",
        "[sequence]\nfeedback = 'vit'",
        "[sequence]\nvae_rule = { max_side = 48, min_side = 32, stride = 4 }",
        "[sequence]\nvit_rule = { max_side = 42, min_side = 28, stride = 14 }",
        "[sequence]\ndrop_vae = 1.0",
        "[sequence]\ndrop_vit = 1.0",
        "[sequence]\ndrop_text = 1.0",
        "[sequence]\ndrop_chain = 0.5",
        "[sequence]\nthink_tags = 'pair per text'",
        "[sequence]\nannounce_images = true",
    ],
)
@pytest.mark.slow
def test_every_switch_changes_the_run(change, folder, unchanged, tmp_path):
    extra = tmp_path / "change.toml"
    extra.write_text(change)
    assert two_steps(folder, tmp_path / "out", extra) != unchanged


@pytest.fixture(scope="module")
def unchanged(folder, tmp_path_factory):
    return two_steps(folder, tmp_path_factory.mktemp("runs") / "base")


def two_steps(folder, out, *more):
    """What two steps leave: loss, digests and number of packs."""
    trainer_of(
        overlay(out.with_suffix(".toml"), folder, out, steps=2, more="samples_per_step = 2"), *more
    ).run()
    line = without_times(log(out))[-1]
    return line["loss"], line["ema_digest"], line["optimizer_digest"], line["packs"]


@pytest.mark.slow
def test_switches_of_the_run_itself(folder, tmp_path):
    run = "keep_checkpoints = 3\npeak_tflops = 0.001"
    trainer = trainer_of(overlay(tmp_path / "a.toml", folder, tmp_path / "a", steps=8, more=SMALL, run=run))
    trainer.run()
    assert saved_steps(tmp_path / "a") == [4, 6, 8]
    assert log(tmp_path / "a")[-1]["mfu"] > 0
    other = trainer_of(overlay(tmp_path / "b.toml", folder, tmp_path / "b", steps=1, more=SMALL))
    other.run()
    assert "mfu" not in log(tmp_path / "b")[0]
    assert saved_steps(tmp_path / "b") == [1]


def sam_file(path):
    """A file with Segment Anything's names, its image encoder and mask decoder of the debug heads' size."""
    torch.manual_seed(3)
    encoder = build_encoder(
        image_size=16 * DEBUG_HEADS.grid,
        depth=2,
        width=16,
        heads=2,
        global_blocks=(1,),
        out_width=DEBUG_HEADS.width,
    )
    heads = GroundingHeads(8, DEBUG_HEADS)
    weights = {f"image_encoder.{n}": v for n, v in encoder.state_dict().items()}
    weights |= {f"mask_decoder.{n}": v for n, v in heads.mask_decoder.state_dict().items()}
    weights["prompt_encoder.no_mask_embed.weight"] = heads.no_mask_embed.weight.detach()
    matrix = "positional_encoding_gaussian_matrix"
    weights[f"prompt_encoder.pe_layer.{matrix}"] = heads.position_code.state_dict()[matrix]
    save_file({n: v.contiguous() for n, v in weights.items()}, path)
    return weights


@pytest.mark.slow
def test_a_sam_file_starts_the_decoder_and_its_encoder_gives_the_features(folder, tmp_path):
    weights = sam_file(tmp_path / "sam.safetensors")
    lines = {}
    for name, model in (
        ("random", ""),
        ("decoder", f'sam = "{tmp_path / "sam.safetensors"}"'),
        ("both", f'sam = "{tmp_path / "sam.safetensors"}"\nfeatures = "sam"'),
    ):
        config = overlay(tmp_path / f"{name}.toml", folder, tmp_path / name, steps=1, more=SMALL)
        with config.open("a") as file:
            file.write(f"[model]\n{model}\n")
        trainer = trainer_of(config)
        decoder = trainer.parts.model.heads.mask_decoder.state_dict()
        loaded = all(torch.equal(v, weights[f"mask_decoder.{n}"]) for n, v in decoder.items())
        assert loaded == (name != "random")
        trainer.run()
        lines[name] = log(tmp_path / name)[0]
    assert lines["random"]["keys"] == lines["both"]["keys"]
    assert len({line["mask_o"] for line in lines.values()}) == 3
    assert lines["decoder"]["mse"] == lines["both"]["mse"]  # the features reach the masks alone


@pytest.mark.slow
def test_padding_to_one_size_changes_the_latents_of_the_smaller_picture(tmp_path):
    examples = [toys.example("small", size=(48, 40)), toys.example("large", size=(64, 64))]
    folder = release.write_release(tmp_path / "release", examples)
    lines = []
    for name, run in (("a", ""), ("b", "padded_vae_batches = true")):
        more = "samples_per_step = 2"
        config = overlay(tmp_path / f"{name}.toml", folder, tmp_path / name, steps=1, more=more, run=run)
        trainer_of(config).run()
        lines.append(log(tmp_path / name)[0])
    assert lines[0]["packs"] == lines[1]["packs"] == 1
    assert lines[0]["mse"] != pytest.approx(lines[1]["mse"], rel=1e-6)


@pytest.mark.slow
def test_recomputed_layers_give_the_same_gradients(folder, tmp_path):
    lines = []
    for name in ("none", "selective", "full"):
        run = f'activation_checkpointing = "{name}"'
        trainer = trainer_of(overlay(tmp_path / f"{name}.toml", folder, tmp_path / name, steps=1, run=run))
        assert {layer.recompute for layer in layers_of(trainer.parts.model)} == {name}
        trainer.run()
        lines.append(log(tmp_path / name)[0])
    assert lines[0]["grad_norm"] == lines[1]["grad_norm"] == lines[2]["grad_norm"]


@pytest.mark.slow
def test_the_encoder_alone_runs_in_bfloat16(folder, tmp_path):
    lines = []
    for name, dtype in (("false", torch.float32), ("true", torch.bfloat16)):
        trainer = trainer_of(
            overlay(tmp_path / "c.toml", folder, tmp_path / name, steps=1, run=f"vae_bf16 = {name}")
        )
        assert {p.dtype for p in trainer.parts.vae.encoder.parameters()} == {dtype}
        assert {p.dtype for p in trainer.parts.vae.decoder.parameters()} == {torch.float32}
        trainer.run()
        lines.append(log(tmp_path / name)[0])
    assert lines[0]["mse"] != lines[1]["mse"] == pytest.approx(lines[0]["mse"], rel=1e-3)


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")
def test_compiled_layers_train_as_plain_ones_do(folder, tmp_path):
    lines = []
    for name in ("false", "true"):
        run = f'compile = {name}\nactivation_checkpointing = "selective"'
        trainer_of(overlay(tmp_path / "c.toml", folder, tmp_path / name, steps=2, run=run)).run()
        lines.append(log(tmp_path / name))
    for plain, compiled in zip(*lines, strict=True):
        for term in ("loss", "grad_norm", *TERMS):
            assert compiled[term] == pytest.approx(plain[term], rel=1e-5), term


FAULTS = {
    "optim.steps: -1": "[optim]\nsteps = -1",
    "optim.steps: 0": "[optim]\nsteps = 0",
    "optim.samples_per_step: 0": "[optim]\nsamples_per_step = 0",
    "optim.max_tokens: 0": "[optim]\nmax_tokens = 0",
    "optim.clip_norm: 0.0": "[optim]\nclip_norm = 0.0",
    "optim.ema_decay: 1.0": "[optim]\nema_decay = 1.0",
    "optim.warmup_steps: -5": "[optim]\nwarmup_steps = -5",
    "optim.lr: -1.0": "[optim]\nlr = -1.0",
    "optim.lr: nan": "[optim]\nlr = nan",
    "optim.beta1: 1.5": "[optim]\nbeta1 = 1.5",
    "optim.beta2: 1.0": "[optim]\nbeta2 = 1.0",
    "run.save_every: 0": "[run]\nsave_every = 0",
    "run.keep_checkpoints: 0": "[run]\nkeep_checkpoints = 0",
    "run.peak_tflops: -1.0": "[run]\npeak_tflops = -1.0",
    f"run.seed: {2**63}, should be less than or equal to {2**63 - 1}": f"[run]\nseed = {2**63}",
    "run.out: ''": "[run]\nout = ''",
    "sequence.drop_text: 1.5": "[sequence]\ndrop_text = 1.5",
    "sequence.drop_vae: -0.5": "[sequence]\ndrop_vae = -0.5",
    "sequence.drop_vit: nan": "[sequence]\ndrop_vit = nan",
    "sequence.drop_chain: 0.6": "[sequence]\ndrop_chain = 0.6",
    "sequence.vae_rule.stride: 0": "[sequence.vae_rule]\nstride = 0",
    "sequence.vae_rule.stride: 3": "[sequence.vae_rule]\nstride = 3",
    "sequence.vit_rule.stride: 7": "[sequence.vit_rule]\nstride = 7",
    "sequence.vit_rule.max_side: 1000": "[sequence.vit_rule]\nmax_side = 1000",
    "sequence.vae_rule.min_side: 70": "[sequence.vae_rule]\nmin_side = 70",
    "grounding.align_layer: 0": "[grounding]\nalign_layer = 0",
    "grounding.align_layer: 29": "[grounding]\nalign_layer = 29",
    "grounding.weight_tv: -1.0": "[grounding]\nweight_tv = -1.0",
    "grounding.weight_mask: inf": "[grounding]\nweight_mask = inf",
    "loss.weight_ce: nan": "[loss]\nweight_ce = nan",
    "loss.timestep_shift: 0.0": "[loss]\ntimestep_shift = 0.0",
    "optim: 5": "optim = 5",
    "sources: 'x'": "sources = 'x'",
    "sources[0]: 1": "sources = [1]",
    "sources[0].kind: missing; sources[0].uri: missing": "[[sources]]\nname = 'g'",
    "sources[0].kind: 'video'": "[[sources]]\nname = 'g'\nkind = 'video'\nuri = 'x'",
    "sources[0].name: 'taken'": "[[sources]]\nname = 'taken'\nkind = 'edit'\nuri = 'x'",
    "sources[0].weight: nan": "[[sources]]\nname = 'g'\nkind = 'edit'\nuri = 'x'\nweight = nan",
    "sources[1].name: 'g'": "[[sources]]\nname = 'g'\nkind = 'edit'\nuri = 'x'\n" * 2,
    "uri '/nowhere' of source 'g'": "[[sources]]\nname = 'g'\nkind = 'grounding'\nuri = '/nowhere'",
    "sources: []": "sources = []",
    "run.sped: unknown key, allowed are out, seed, save_every": "[run]\nsped = 1",
    "model.sam: '/nowhere'": "[model]\nsam = '/nowhere'",
    "model.checkpoint: '/nowhere'": "[model]\ncheckpoint = '/nowhere'",
    "model.features_folder: ''": "[model]\nfeatures = 'cached'",
    "run.attention: 'flex'": "[run]\nattention = 'flex'",
}


@pytest.mark.parametrize("told", FAULTS)
def test_a_wrong_value_is_one_line_with_its_key_before_the_folder_of_the_run_is_made(
    told, folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(train, "start_processes", lambda: torch.device("cpu"))
    good, bad = overlay(tmp_path / "o.toml", folder, tmp_path / "out"), tmp_path / "bad.toml"
    bad.write_text(FAULTS[told])
    files = [CONFIGS / "base.toml", CONFIGS / "debug_size.toml", good, bad]
    assert train.main([x for path in files for x in ("--config", str(path))]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {told}")
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_model_are_named(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "llm").mkdir()
    for name in ("llm_config.json", "vit_config.json"):
        (tmp_path / "llm" / name).write_text("{}")
    for name in ("ema", "ae"):
        save_file({"a": torch.zeros(1)}, tmp_path / "llm" / f"{name}.safetensors")
    (tmp_path / "sam.safetensors").write_bytes(b"PK")
    for key, name, told in (
        ("checkpoint", "empty", "No such file"),
        ("checkpoint", "llm", "its configuration files lack 'rope_parameters'"),
        ("sam", "sam.safetensors", "header"),
    ):
        extra = tmp_path / "extra.toml"
        extra.write_text(f'[model]\n{key} = "{tmp_path / name}"')
        with pytest.raises(ConfigurationError, match=rf"model\.{key}: '.*{name}': .*{told}"):
            trainer_of(overlay(tmp_path / "o.toml", folder, tmp_path / "out"), extra)


def test_a_run_whose_folder_is_a_file_is_refused(folder, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(ConfigurationError, match=r"run\.out: '.*out', should be a folder, is a file"):
        trainer_of(overlay(tmp_path / "o.toml", folder, tmp_path / "out"))


def test_a_file_that_is_its_own_base_or_no_toml_is_named(tmp_path, capsys):
    path, other = tmp_path / "a.toml", tmp_path / "b.toml"
    other.write_text('base = "a.toml"')
    for text, told in (
        ('base = "a.toml"', "base: 'a.toml', leads back to itself"),
        ('base = "nowhere.toml"', "base: 'nowhere.toml', should be a file"),
        ("base = 5", "base: 5, should be a file"),
        ("[optim", "Expected ']'"),
    ):
        path.write_text(text)
        assert train.main(["--config", str(path), "--print"]) == 2
        assert capsys.readouterr().err.startswith(f"error: {path}: {told}")
    path.write_text('base = "b.toml"')
    with pytest.raises(ConfigurationError, match=r"b\.toml: base: 'a\.toml', leads back to itself"):
        load_config([path])
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml: No such file"):
        load_config([tmp_path / "nowhere.toml"])


def test_every_published_configuration_is_accepted():
    for path in CONFIGS.glob("*.toml"):
        overlay = path.stem in ("debug_size", "vit_980")
        assert load_config([path]).sources or overlay
        load_config([path, CONFIGS / "debug_size.toml"])


def test_configuration_faults_are_named(tmp_path, folder, monkeypatch):
    for text, match in (
        ("[run]\nsped = 1", r"run\.sped: unknown key"),
        ("[optim]\nsteps = 'many'", "optim.steps"),
        ("[run]\nattention = 'sparse'", "sparse"),
        ("[grounding]\nhidden = 'middle'", "middle"),
        ("[sequence]\nfeedback = 'none'", "none"),
        ("[model]\nflavor = 'huge'", "huge"),
    ):
        path = tmp_path / "bad.toml"
        path.write_text(text)
        with pytest.raises(ValueError, match=match):
            load_config([path])
    flex = overlay(tmp_path / "flex.toml", folder, tmp_path / "o", run='attention = "flex"')
    with pytest.raises(ValueError, match="no backward"):
        trainer_of(flex)
    monkeypatch.setenv("CXX", "no-such-compiler")
    compiled = overlay(tmp_path / "compiled.toml", folder, tmp_path / "o", run="compile = true")
    with pytest.raises(ValueError, match="compile: True, should be false"):
        trainer_of(compiled)
    copies = overlay(tmp_path / "copies.toml", folder, tmp_path / "o", run="replicas = 3")
    with pytest.raises(ValueError, match="replicas: 3, should divide the number of processes, 1"):
        trainer_of(copies)
