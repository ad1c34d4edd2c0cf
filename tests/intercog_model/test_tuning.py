"""Parts keep their weights, adapters are trained in their place and merged, and rates follow part and schedule."""

import math
from functools import partial

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402
from torch.testing import assert_close  # noqa: E402

from intercog_model.backbone.attention import DenseAttend  # noqa: E402
from intercog_model.backbone.bagel import Bagel  # noqa: E402
from intercog_model.checkpoint import load_folder  # noqa: E402
from intercog_model.config import debug_config, released_config  # noqa: E402
from intercog_model.errors import ConfigurationError  # noqa: E402
from intercog_model.grounding.config import DEBUG_HEADS, GroundingConfig, HeadSizes  # noqa: E402
from intercog_model.grounding.heads import GroundingHeads  # noqa: E402
from intercog_model.packing.masks import dense_masks  # noqa: E402
from intercog_model.training.checkpoint_folder import CheckpointFolder  # noqa: E402
from intercog_model.training.config import OptimConfig  # noqa: E402
from intercog_model.training.lora import LoraLinear, adapted_layers, merged  # noqa: E402
from intercog_model.training.objective import InterCog, ObjectiveConfig  # noqa: E402
from intercog_model.training.schedule import rate_factor  # noqa: E402
from intercog_model.training.sharded_loading import load_shards  # noqa: E402
from intercog_model.training.tuning import (  # noqa: E402
    PARTS,
    LoraConfig,
    TuningConfig,
    adapter_parameters,
    part_of,
    prepare,
    start_adapters,
)
from intercog_model.training.validation import averaged  # noqa: E402
from tests.intercog_model import toys  # noqa: E402
from tests.intercog_model.runs import (  # noqa: E402
    exported,
    log,
    overlay,
    trainer_of,
    without_times,
    write_samples,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_samples(tmp_path_factory.mktemp("data") / "release")


def trainer(folder, out, text, steps=2):
    extra = out.with_suffix(".more.toml")
    extra.write_text(text)
    return trainer_of(
        overlay(out.with_suffix(".toml"), folder, out, steps=steps, more="samples_per_step = 1"), extra
    )


def values(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def changed_parts(before, after):
    return {part_of(name) for name in before if not torch.equal(before[name], after[name])}


def test_every_parameter_of_the_released_size_belongs_to_one_part():
    with torch.device("meta"):
        bagel = Bagel(released_config())
        heads = GroundingHeads(64, HeadSizes())
    names = [f"bagel.{n}" for n, _ in bagel.named_parameters()]
    names += [f"heads.{n}" for n, _ in heads.named_parameters()]
    assert {part_of(name) for name in names} == set(PARTS)
    with pytest.raises(KeyError):
        part_of("bagel.vae.encoder.conv_in.weight")


@pytest.mark.parametrize("frozen", [("vit", "connector"), ("llm", "flow", "heads")])
def test_a_frozen_part_keeps_its_weights_and_has_neither_moments_nor_an_average(frozen, folder, tmp_path):
    run = trainer(folder, tmp_path / "out", f"[tuning]\nfreeze = {list(frozen)}")
    model = run.parts.model
    before = values(model)
    run.run()
    assert changed_parts(before, values(model)) == set(PARTS) - set(frozen)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {part_of(name) for name in trained} == set(PARTS) - set(frozen)
    assert run.average.values.keys() == trained
    stepped = {name for name, p in model.named_parameters() if p in run.optimizer.state}
    assert stepped == trained


LORA = "[tuning.lora]\nrank = 2\n"


def adapted(**changes):
    model, vae = toys.models()
    tuning = TuningConfig(lora=LoraConfig(rank=2, **changes))
    plain = values(model)
    prepare(model, tuning, seed=3)
    return model, vae, plain


def forward(model, vae):
    batch = toys.batch([toys.example()])
    with torch.no_grad():
        out = model.run_backbone(batch, toys.latents(vae, batch), DenseAttend(dense_masks(batch.packed)))
    return out.logits, out.velocity


def test_adapters_start_at_nothing_and_leave_every_other_name_as_it_was():
    plain_model, vae = toys.models()
    model, _vae, plain = adapted()
    assert all(torch.equal(a, b) for a, b in zip(forward(model, vae), forward(plain_model, vae), strict=True))
    names = [name for name, _ in model.named_parameters()]
    assert set(names) - set(plain) == set(adapter_parameters(model))
    assert set(plain) <= set(names)
    layers = [name for name, _ in adapted_layers(model)]
    # both experts: four projections of attention and three of the feed-forward
    assert len(layers) == 2 * 7 * 4
    assert all(name.startswith("bagel.language_model.model.layers.") for name in layers)
    narrow, _vae, _plain = adapted(parts=("vit",), layers=("*.fc1", "*.layers.1.self_attn.q_proj"))
    assert [name.rpartition("encoder.")[2] for name, _ in adapted_layers(narrow)] == [
        "layers.0.mlp.fc1", "layers.1.self_attn.q_proj", "layers.1.mlp.fc1",
    ]  # fmt: skip


def test_merged_weights_give_what_the_adapters_gave():
    model, vae, _plain = adapted(parts=("llm", "vit"), layers=("*_proj*", "*.fc1"), alpha=8.0)
    base = forward(model, vae)
    generator = torch.Generator().manual_seed(0)
    for _name, layer in adapted_layers(model):
        layer.lora_up.data.normal_(std=0.05, generator=generator)
    ours = forward(model, vae)
    assert all(float((a - b).abs().max()) > 1e-2 for a, b in zip(ours, base, strict=True))
    plain_model, _vae = toys.models()
    weights = dict(plain_model.named_parameters())
    for name, layer in adapted_layers(model):
        whole = merged(layer.weight, layer.lora_down, layer.lora_up, layer.scale)
        weights[f"{name}.weight"].data.copy_(whole.detach())
    for a, b in zip(forward(plain_model, vae), ours, strict=True):
        assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_adapters_are_functions_of_seed_and_name():
    first, again, other = adapted()[0], adapted()[0], adapted()[0]
    start_adapters(other, seed=4)
    for (name, a), (_, b), (_, c) in zip(*map(adapted_layers, (first, again, other)), strict=True):
        assert torch.equal(a.lora_down, b.lora_down), name
        assert not torch.equal(a.lora_down, c.lora_down)
        assert isinstance(a, LoraLinear)
    spread = torch.cat(
        [layer.lora_down.flatten() * layer.in_features**0.5 for _, layer in adapted_layers(first)]
    )
    assert_close(float(spread.detach().std()), 3**-0.5, atol=0.01, rtol=0)


def test_a_run_with_adapters_trains_them_and_the_parts_without_them_alone(folder, tmp_path):
    # of the last layer they move after the flow head, which begins at zero, and D moves after U
    run = trainer(folder, tmp_path / "out", LORA + '[tuning]\nfreeze = ["vit", "connector"]', steps=4)
    model = run.parts.model
    before = values(model)
    run.run()
    after = values(model)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in moved if part_of(name) == "llm"} == set(adapter_parameters(model))
    assert {part_of(name) for name in moved} == {"llm", "flow", "heads"}
    assert run.average.values.keys() == {n for n, p in model.named_parameters() if p.requires_grad}


def test_a_checkpoint_lacks_what_is_frozen_a_run_resumes_from_it_and_its_export_is_merged(folder, tmp_path):
    """The averaged adapters in the network of the run give what the exported folder gives."""
    text = LORA + '[tuning]\nfreeze = ["vit", "connector"]'
    whole = trainer(folder, tmp_path / "whole", text, steps=4)
    whole.run()
    trainer(folder, tmp_path / "parts", text, steps=2).run()
    resumed = trainer(folder, tmp_path / "parts", text, steps=4)
    assert resumed.step == 2
    resumed.run()
    assert without_times(log(tmp_path / "parts")) == without_times(log(tmp_path / "whole"))

    model = whole.parts.model
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    checkpoints = CheckpointFolder(str(tmp_path / "whole"))
    index = checkpoints.read(checkpoints.names()[-1])
    kinds = ("model", "average", "optimizer.step", "optimizer.exp_avg", "optimizer.exp_avg_sq")
    assert index.tensors.keys() == {f"{kind}.{name}" for kind in kinds for name in trained}

    loaded = load_folder(exported(tmp_path / "whole"), tokens=debug_config().tokens, dtype=torch.float32)
    plain = InterCog(loaded.model, model.heads, model.config)
    with averaged(model, whole.average):
        ours = forward(model, loaded.vae)
        assert float(max(layer.lora_up.detach().abs().max() for _, layer in adapted_layers(model))) > 1e-5
    theirs = forward(plain, loaded.vae)
    for a, b in zip(theirs, ours, strict=True):
        assert_close(a, b, atol=1e-5, rtol=1e-5)
    base = forward(trainer(folder, tmp_path / "new", "", steps=1).parts.model, loaded.vae)
    assert any(float((a - b).abs().max()) > 1e-3 for a, b in zip(theirs, base, strict=True))


def test_a_sharded_network_reads_a_published_file_past_its_adapters(folder, tmp_path):
    trainer(folder, tmp_path / "base", "", steps=1).run()
    published = exported(tmp_path / "base")
    with torch.device("meta"):
        bagel = Bagel(debug_config())
        heads = GroundingHeads(debug_config().llm.hidden_size, DEBUG_HEADS)
    model = InterCog(bagel, heads, ObjectiveConfig(grounding=GroundingConfig()))
    prepare(model, TuningConfig(lora=LoraConfig(rank=2)), seed=3)
    load_shards(model.bagel, published / "ema.safetensors", "cpu")
    start_adapters(model, 3)
    weights = load_file(published / "ema.safetensors")
    names = dict(model.bagel.named_parameters())
    for name, parameter in names.items():
        if name in weights:
            assert torch.equal(parameter, weights[name]), name
    expected = dict(adapted()[0].bagel.named_parameters())
    for name in names.keys() - weights.keys():
        assert torch.equal(names[name], expected[name]), name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[tuning]\nfreeze = ["vae"]', r"tuning\.freeze\[0\]: 'vae'"),
        (
            '[tuning]\nfreeze = ["llm", "vit", "connector", "flow", "heads"]',
            r"tuning\.freeze: \['llm', .*should leave a part to train",
        ),
        (
            '[tuning.lora]\nrank = 1\nlayers = ["*.mlp.*", "*.fc9"]',
            r"tuning\.lora\.layers: \['\*\.fc9'\], should match linear layers of llm",
        ),
        ("[tuning.lora]\nrank = 1\nlayers = []", r"tuning\.lora\.layers: \[\], should match"),
        ("[tuning.lora]\nrank = -1", r"tuning\.lora\.rank: -1"),
        ("[optim.lr_of]\nheads = -1.0", r"optim\.lr_of\.heads: -1\.0"),
        ("[optim.lr_of]\nvae = 1.0", r"optim\.lr_of\.vae: unknown key"),
        ('[optim]\nschedule = "cosine"', r"optim\.schedule_steps: 0, should be above 10 for the schedule"),
        (
            '[optim]\nschedule = "stable-decay"\nschedule_steps = 20',
            r"optim\.decay_steps: 0, should be above 0",
        ),
        (
            '[optim]\nschedule = "stable-decay"\nschedule_steps = 20\ndecay_steps = 11',
            r"optim\.schedule_steps: 20, should be above 20",
        ),
    ],
)
def test_what_cannot_be_trained_is_told_with_its_key(text, told, folder, tmp_path):
    with pytest.raises(ConfigurationError, match=told):
        trainer(folder, tmp_path / "out", text)


def test_rates_follow_the_schedule():
    optim = partial(OptimConfig, warmup_steps=4)
    assert [rate_factor(optim(), step) for step in (0, 1, 3, 999)] == [0.25, 0.5, 1, 1]
    cosine = partial(rate_factor, optim(schedule="cosine", schedule_steps=104, final_rate=0.1))
    assert [cosine(step) for step in (0, 3)] == [0.25, 1]
    assert_close(cosine(28), 0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2)
    assert_close(cosine(53), 0.55)
    assert [cosine(step) for step in (103, 500)] == [0.1, 0.1]
    decay = partial(rate_factor, optim(schedule="stable-decay", schedule_steps=100, decay_steps=10))
    assert [decay(step) for step in (0, 3, 50, 89)] == [0.25, 1, 1, 1]
    assert_close([decay(step) for step in (90, 94, 99, 200)], [0.9, 0.5, 0.0, 0.0])


def test_a_part_has_a_rate_of_its_own_in_training_and_in_the_log(folder, tmp_path):
    run = trainer(
        folder,
        tmp_path / "out",
        '[optim]\nlr = 0.0\nwarmup_steps = 1\nschedule = "cosine"\nschedule_steps = 3\n[optim.lr_of]\nheads = 1e-3',
    )
    before = values(run.parts.model)
    run.run()
    assert changed_parts(before, values(run.parts.model)) == {"heads"}
    lines = log(tmp_path / "out")
    assert [line["lr"] for line in lines] == [0, 0]
    assert_close([line["lr_heads"] for line in lines], [1e-3, 0.5e-3])
