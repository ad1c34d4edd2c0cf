"""Model folders of a run's checkpoints: what is in them, what they are refused for, and what making one takes."""

import json

import pytest

torch = pytest.importorskip("torch")

from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from intercog_model import edit, export  # noqa: E402
from intercog_model.backbone.bagel import Bagel  # noqa: E402
from intercog_model.checkpoint import TABLES, CheckpointError, load_folder  # noqa: E402
from intercog_model.config import debug_config, released_config  # noqa: E402
from intercog_model.data.tokenizer import BpeTokenizer, ByteTokenizer  # noqa: E402
from intercog_model.errors import ConfigurationError  # noqa: E402
from intercog_model.inference.chain import run_chain  # noqa: E402
from intercog_model.saving import Weights, save_model, write_weights  # noqa: E402
from intercog_model.saving import _config_json as config_json  # noqa: E402
from intercog_model.saving import _language_json as language_json  # noqa: E402
from intercog_model.saving import _vit_json as vit_json  # noqa: E402
from intercog_model.tokenizer_files import write_tokenizer  # noqa: E402
from intercog_model.training.checkpoint_folder import CheckpointFolder  # noqa: E402
from intercog_model.training.export_run import export_run  # noqa: E402
from tests.intercog_model import toys  # noqa: E402
from tests.intercog_model.runs import SMALL, overlay, trainer_of, write_samples  # noqa: E402

FILES = {
    "README.md",
    "ae.safetensors",
    "config.json",
    "ema.safetensors",
    "generation_config.json",
    "intercog.json",
    "llm_config.json",
    "merges.txt",
    "model.safetensors.index.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vit_config.json",
    "vocab.json",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_samples(tmp_path_factory.mktemp("data") / "release")


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A run with checkpoints of its steps 2 and 4, and its trainer after them."""
    out = tmp_path_factory.mktemp("runs") / "run"
    trainer = trainer_of(overlay(out.with_suffix(".toml"), folder, out, steps=4, more=SMALL))
    trainer.run()
    return out, trainer


def test_the_folder_has_every_file_and_the_averaged_weights(run, tmp_path, capsys):
    out, trainer = run
    assert export.main([str(out), "--out", str(tmp_path / "model")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'model'}\n"
    assert {path.name for path in (tmp_path / "model").iterdir()} == FILES
    weights = load_file(tmp_path / "model" / "ema.safetensors")
    with torch.device("meta"):
        assert weights.keys() == Bagel(debug_config()).state_dict().keys()
    for name, value in weights.items():
        if name not in TABLES:
            assert torch.equal(value, trainer.average.values[f"bagel.{name}"]), name
    loaded = load_folder(tmp_path / "model", tokens=ByteTokenizer().tokens, dtype=torch.float32)
    assert loaded.model.config == trainer.parts.model.bagel.config
    theirs = trainer.parts.vae.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in loaded.vae.state_dict().items())
    index = json.loads((tmp_path / "model" / "model.safetensors.index.json").read_text())
    assert index["weight_map"].keys() == weights.keys()
    card = (tmp_path / "model" / "README.md").read_text()
    assert "after 4 steps" in card
    assert "* g: grounding, weight 1" in card
    assert "{" not in card


def test_an_earlier_step_is_exported_beside_it(run):
    out, _ = run
    first, last = export_run(str(out), step=2), export_run(str(out))
    assert (first.name, last.name) == ("export-2", "export-4")
    ours, theirs = (load_file(path / "ema.safetensors") for path in (first, last))
    assert not torch.equal(ours["llm2vae.weight"], theirs["llm2vae.weight"])


def test_what_was_frozen_comes_from_where_training_began(run, folder, tmp_path):
    base = export_run(str(run[0]), out=tmp_path / "base")
    more = tmp_path / "more.toml"
    more.write_text(f'[model]\ncheckpoint = "{base}"\n')
    config = overlay(tmp_path / "c.toml", folder, tmp_path / "out", steps=1, more=SMALL)
    trainer = trainer_of(config, more)
    trainer.parts.model.bagel.vit_model.requires_grad_(False)
    trainer.run()
    weights = load_file(export_run(str(tmp_path / "out")) / "ema.safetensors")
    began = load_file(base / "ema.safetensors")
    for name, value in weights.items():
        if name.startswith("vit_model."):
            assert torch.equal(value, began[name])
    assert not torch.equal(weights["llm2vae.weight"], began["llm2vae.weight"])
    # the folder may have been moved since
    base.rename(tmp_path / "moved")
    with pytest.raises(ConfigurationError, match=r"model\.checkpoint: '.*base', should be a folder; --base"):
        export_run(str(tmp_path / "out"), out=tmp_path / "again")
    assert not (tmp_path / "again").exists()
    again = export_run(str(tmp_path / "out"), out=tmp_path / "again", base=tmp_path / "moved")
    assert torch.equal(load_file(again / "ema.safetensors")["llm2vae.weight"], weights["llm2vae.weight"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--step", "3"], "no checkpoint of step 3, there are 2, 4"),
        (["--out", "."], "--out .: should not be there yet"),
    ],
)
def test_what_no_folder_can_be_made_of_is_one_line(options, told, run, capsys):
    assert export.main([str(run[0]), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert line.endswith(told)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("nowhere", "should be a run's folder"),
        ("", "no checkpoint"),
        ("ftp://h/p", "should be a folder or s3"),
    ],
)
def test_a_place_without_checkpoints_is_named(place, told, tmp_path, capsys):
    assert export.main([place if "://" in place else str(tmp_path / place)]) == 2
    assert told in capsys.readouterr().err


def test_a_damaged_checkpoint_is_named_and_leaves_no_folder(run, tmp_path):
    out, _ = run
    name = CheckpointFolder(str(out)).names()[-1]
    file = out / name / "00000.bin"
    whole = file.read_bytes()
    index = CheckpointFolder(str(out)).read(name)
    piece = index.tensors["average.bagel.llm2vae.weight"].pieces[0]
    flipped = bytearray(whole)
    flipped[piece.start] ^= 1
    file.write_bytes(flipped)
    with pytest.raises(ConfigurationError, match=f"{name} is damaged: 00000.bin fails the digest of average"):
        export_run(str(out), out=tmp_path / "model")
    file.write_bytes(whole)
    assert not (tmp_path / "model").exists()
    export_run(str(out), out=tmp_path / "model")


def test_other_names_are_refused(tmp_path):
    bagel, _ = toys.models()
    weights = bagel.bagel.state_dict() | {"projector": torch.zeros(1)}
    with pytest.raises(CheckpointError, match="unexpected: projector"):
        save_model(Weights.of(weights), debug_config(), tmp_path)


def test_configurations_of_the_released_size_are_the_published_ones():
    config = released_config()
    llm, vit = language_json(config), vit_json(config)
    assert (vit["num_hidden_layers"], llm["tie_word_embeddings"]) == (27, False)
    tree = config_json(config, llm, vit, torch.bfloat16)
    assert tree["vit_config"]["num_hidden_layers"] == 27
    assert tree["llm_config"]["qk_norm"] is True
    assert tree["vae_config"] == {"z_channels": 16, "downsample": 8}
    assert (tree["max_latent_size"], tree["vit_max_num_patch_per_side"]) == (64, 70)
    small = debug_config()
    tree = config_json(small, language_json(small), vit_json(small), torch.float32)
    assert tree["vit_config"]["num_hidden_layers"] == small.vit.num_hidden_layers


def test_a_written_file_is_read_by_the_library_whatever_type_and_shape(tmp_path):
    tensors = {
        "scalar": torch.tensor(2.5),
        "none": torch.zeros(0, 3),
        "half": torch.arange(6.0).reshape(2, 3).bfloat16(),
        "transposed": torch.arange(6.0).reshape(2, 3).T,
    }
    path = write_weights(Weights.of(tensors), tmp_path / "a.safetensors")
    found = load_file(path)
    assert all(torch.equal(found[name], value) for name, value in tensors.items())
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_tokens_of_the_debug_folder_are_bytes(run, tmp_path):
    model = export_run(str(run[0]), out=tmp_path / "model")
    ours, theirs = BpeTokenizer(model), ByteTokenizer()
    assert ours.tokens == theirs.tokens
    text = "".join(map(chr, range(1, 0x250))) + " <think>\n日本 😀"
    assert ours.encode(text)[0] == theirs.encode(text)[0]
    assert ours.decode(ours.encode(text)[0]) == text


def test_vocabulary_and_merges_are_made_where_a_folder_lacks_them(tmp_path):
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    toys.write_tokenizer(tmp_path / "from", "Make it blue, make it blue.")
    write_tokenizer(tmp_path / "from", tmp_path / "to")
    from tokenizers import Tokenizer, decoders, pre_tokenizers  # noqa: PLC0415
    from tokenizers.models import BPE  # noqa: PLC0415

    made = Tokenizer(BPE.from_file(str(tmp_path / "to/vocab.json"), str(tmp_path / "to/merges.txt")))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    whole = Tokenizer.from_file(str(tmp_path / "from/tokenizer.json"))
    assert made.encode("Make it blue.").ids == whole.encode("Make it blue.").ids
    assert len(made.encode("Make it blue.").ids) < 10


ABLATIONS = {
    "text_only": ("", {"visual_reasoning": False}),
    "vision_only": ("", {"text_reasoning": False}),
    "no_reasoning": ("", {"visual_reasoning": False, "text_reasoning": False, "system_prompt": ""}),
    "base": (
        "feedback = 'vit'\nthink_tags = 'pair per text'",
        {"feedback": "vit", "think_tags": "pair per text"},
    ),
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_edit_runs_the_chain_that_a_model_was_trained_with(name, folder, tmp_path, monkeypatch):
    sequence, chain = ABLATIONS[name]
    more = tmp_path / "more.toml"
    more.write_text(f"[sequence]\n{sequence}\n")
    trainer_of(
        overlay(tmp_path / "c.toml", folder, tmp_path / "out", steps=1, more=SMALL), more, name=name
    ).run()
    model = export_run(str(tmp_path / "out"))
    stated = json.loads((model / "intercog.json").read_text())
    assert (stated["step"], len(stated["run"])) == (1, 64)
    ran = []
    monkeypatch.setattr(
        edit, "run_chain", lambda *arguments: ran.append(arguments[3]) or run_chain(*arguments)
    )
    toys.example().source.save(tmp_path / "scene.png")
    options = toys.command_line(tmp_path / "scene.png", tmp_path / "results")
    assert edit.main(["--model", str(model), *options[2:]]) == 0
    (settings,) = ran
    assert {key: getattr(settings, key) for key in chain} == chain
    assert (settings.max_tokens, settings.sampler.points) == (3, 2)
    drew = (tmp_path / "results").glob("*grounded*")
    assert bool(list(drew)) == (chain.get("visual_reasoning", True))
