"""A folder belongs to one run: other configurations and inputs are refused by key, what may change is told."""

import hashlib
import json
import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from intercog_model import train  # noqa: E402
from intercog_model.errors import ConfigurationError  # noqa: E402
from intercog_model.training import inputs  # noqa: E402
from intercog_model.training.config_files import load_config  # noqa: E402
from intercog_model.training.run_folder import RUN_FILE, RunFolder, from_first  # noqa: E402
from intercog_model.training.run_record import RunRecord  # noqa: E402
from tests.intercog_model.runs import CONFIGS, SMALL, exported, log, overlay, trainer_of, write_samples  # noqa: E402

FACTS = {"processes": 1, "device": "cpu", "torch": "2"}
OVERLAYS = ("debug_size", "vit_980")  # laid over others, which keep their folders


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return write_samples(tmp_path_factory.mktemp("data") / "release")


def configured(tmp_path, release, change="", name="base"):
    last = tmp_path / "change.toml"
    last.write_text(change)
    run = overlay(tmp_path / "run.toml", release, tmp_path / "out")
    return load_config([CONFIGS / f"{name}.toml", CONFIGS / "debug_size.toml", run, last])


def begin(config, facts=FACTS, step=0):
    """A start of the run, without its model."""
    with RunFolder(Path(config.run.out)) as folder:
        record = folder.claim(config, facts)
        folder.begin(record, config, step)
    return record


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("[optim]\nlr = 1e-4", "optim.lr: 0.0001, was 0.001"),
        ("[run]\nseed = 1", "run.seed: 1, was 0"),
        ("[grounding]\nalign_layer = 28", "grounding.align_layer: 28, was 14"),
        ("[sequence.vit_rule]\nmax_side = 42", "sequence.vit_rule.max_side: 42, was 56"),
        ("[model]\nfeatures = 'cached'\nfeatures_folder = 'HERE'", 'model.features: "cached", was "random"'),
        (
            "[loss]\nweight_ce = 0.5\nweight_mse = 0.5",
            "loss.weight_ce: 0.5, was 1.0; loss.weight_mse: 0.5, was 1.0",
        ),
    ],
)
def test_another_identity_is_refused_with_the_keys(change, told, release, tmp_path):
    begin(configured(tmp_path, release))
    before = (tmp_path / "out" / RUN_FILE).read_bytes()
    (tmp_path / "features.json").write_text("{}")
    other = configured(tmp_path, release, change.replace("HERE", str(tmp_path)))
    with pytest.raises(ConfigurationError) as refused:
        begin(other)
    assert f"run.out: '{tmp_path / 'out'}' belongs to another run: {told}" in str(refused.value)
    assert (tmp_path / "out" / RUN_FILE).read_bytes() == before


def test_another_prompt_is_another_run(release, tmp_path, monkeypatch):
    begin(configured(tmp_path, release))
    monkeypatch.setattr(inputs, "GROUNDING_PROMPT", "Ground it.")
    with pytest.raises(ConfigurationError, match=r"another run: texts\.sha256: "):
        begin(configured(tmp_path, release))


def test_other_contents_at_the_same_address_are_another_run(release, tmp_path):
    moved = shutil.copytree(release, tmp_path / "moved")
    begin(configured(tmp_path, moved))
    manifest = json.loads((moved / "MANIFEST.json").read_text())
    (moved / "MANIFEST.json").write_text(json.dumps({"shards": manifest["shards"][:1]}))
    with pytest.raises(ConfigurationError, match=r"another run: sources\.g\.sha256: "):
        begin(configured(tmp_path, moved))


def test_other_weights_at_the_same_address_are_another_run(release, tmp_path):
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "ema.safetensors").write_bytes(b"one")
    config = configured(tmp_path, release, f"[model]\ncheckpoint = '{weights}'")
    begin(config)
    shutil.copytree(weights, tmp_path / "elsewhere")
    begin(configured(tmp_path, release, f"[model]\ncheckpoint = '{tmp_path / 'elsewhere'}'"))
    (weights / "ema.safetensors").write_bytes(b"two")
    with pytest.raises(ConfigurationError, match=r"another run: model\.checkpoint\.sha256: "):
        begin(config)


def test_what_may_change_is_told_and_written_down(release, tmp_path, capsys):
    begin(configured(tmp_path, release))
    assert capsys.readouterr().out == ""
    moved = shutil.copytree(release, tmp_path / "moved")
    change = "[run]\nsave_every = 7\nactivation_checkpointing = 'selective'\n[optim]\nsteps = 9"
    config = configured(tmp_path, moved, change)
    begin(config, FACTS | {"processes": 2}, step=4)
    numerics, operation = capsys.readouterr().out.splitlines()
    assert numerics == (
        'since the last start, numerics: run.activation_checkpointing: "selective", was "none"; processes: 2, was 1'
    )
    for told in (
        "optim.steps: 9, was 6",
        "run.save_every: 7, was 2",
        f'sources.g.uri: "{moved}", was "{release}"',
    ):
        assert told in operation
    starts = json.loads((tmp_path / "out" / RUN_FILE).read_text())["starts"]
    assert [start["after_step"] for start in starts] == [0, 4]
    assert [start["numerics"]["processes"] for start in starts] == [1, 2]
    assert starts[1]["operation"]["run.save_every"] == 7


def test_a_source_of_weight_0_decides_nothing(release, tmp_path):
    first = begin(configured(tmp_path, release))
    more = '[[sources]]\nname = "n"\nkind = "edit"\nuri = ""\nweight = 0.0\n'
    with_more = tmp_path / "more.toml"
    with_more.write_text((tmp_path / "run.toml").read_text() + more)
    config = load_config([CONFIGS / "base.toml", CONFIGS / "debug_size.toml", with_more])
    assert begin(config).fingerprint == first.fingerprint


def test_a_record_survives_its_json(release, tmp_path):
    record = begin(configured(tmp_path, release, "[optim]\nclip_norm = inf"))
    assert RunRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_files_are_hashed_again_only_when_they_changed(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    known = {}
    first = inputs.KnownDigests(known).of(path)
    known[str(path)]["sha256"] = "kept"
    assert inputs.KnownDigests(known).of(path) == "kept"
    path.write_bytes(b"other")
    assert inputs.KnownDigests(known).of(path) not in (first, "kept")


def hold(folder, held, done):
    with RunFolder(folder):
        held.set()
        done.wait(60)


def test_a_folder_in_use_is_refused_to_a_second_process(tmp_path):
    context = multiprocessing.get_context("fork")
    held, done = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path / "out", held, done))
    process.start()
    try:
        assert held.wait(60)
        with (
            pytest.raises(ConfigurationError, match=r"run\.out: '.*out', another process trains there"),
            RunFolder(tmp_path / "out"),
        ):
            pytest.fail("held twice")
    finally:
        done.set()
        process.join()
    with RunFolder(tmp_path / "out"):
        pass


def test_a_damaged_run_file_is_named(release, tmp_path):
    config = configured(tmp_path, release)
    begin(config)
    for text in ("{", "[]", '{"run": {}}', '{"run": 5}'):
        (tmp_path / "out" / RUN_FILE).write_text(text)
        with pytest.raises(ConfigurationError, match=r"run\.json is damaged"):
            begin(config)


def test_an_error_of_the_first_process_is_one_of_all():
    def fail():
        raise ConfigurationError("no")

    with pytest.raises(ConfigurationError, match="no"):
        from_first(fail)
    assert from_first(lambda: 5) == 5


def test_each_configuration_names_a_folder_of_its_own():
    folders = {}
    for path in CONFIGS.glob("*.toml"):
        if path.stem not in OVERLAYS:
            folders[path.stem] = load_config([path]).run.out
    assert len(folders) >= 9
    assert "" not in folders.values()
    assert len(set(folders.values())) == len(folders)


ABLATIONS = [
    "text_only", "vision_only", "no_reasoning", "no_alignment", "no_reconstruction", "layer_3", "layer_10", "layer_28",
]  # fmt: skip


def small(tmp_path, release):
    """Laid over a shipped configuration: one step on these samples, into the folder that it names."""
    last = tmp_path / "last.toml"
    last.write_text(
        f'[[sources]]\nname = "g"\nkind = "grounding"\nuri = "{release}"\n'
        "[optim]\nsteps = 1\nsamples_per_step = 2\n"
    )
    return last


def test_any_two_ablations_in_one_folder_are_refused(release, tmp_path):
    for one in ABLATIONS:
        files = [CONFIGS / f"{one}.toml", CONFIGS / "debug_size.toml", small(tmp_path, release)]
        first = load_config(files)
        first = replace(first, run=replace(first.run, out=str(tmp_path / one)))
        begin(first)
        for other in ABLATIONS:
            second = load_config([CONFIGS / f"{other}.toml", *files[1:]])
            second = replace(second, run=replace(second.run, out=str(tmp_path / one)))
            if one == other:
                begin(second)
                continue
            with pytest.raises(ConfigurationError, match=r"belongs to another run: (sequence|grounding)\."):
                begin(second)


@pytest.mark.slow
def test_the_eight_ablations_leave_eight_models_in_the_folders_they_name(release, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = {}
    for name in ABLATIONS:
        trainer_of(small(tmp_path, release), name=name).run()
        folder = exported(f"runs/{name}")
        assert (
            json.loads((folder / "intercog.json").read_text())["run"]
            == json.loads((tmp_path / "runs" / name / RUN_FILE).read_text())["run"]["fingerprint"]
        )
        weights = hashlib.sha256((folder / "ema.safetensors").read_bytes()).hexdigest()
        found[name] = (weights, (folder / "intercog.json").read_text())
    assert len({weights for weights, _ in found.values()}) == 8
    assert len({statement for _, statement in found.values()}) == 8


@pytest.mark.parametrize("name", ["no_reasoning", "no_reconstruction"])
def test_features_that_no_loss_reads_are_not_asked_for(name, release, tmp_path):
    change = tmp_path / "features.toml"
    change.write_text(
        "[model]\nfeatures = 'cached'\nsam = '/nowhere/sam.safetensors'\nfeatures_folder = '/nowhere'"
    )
    trainer = trainer_of(
        overlay(tmp_path / "run.toml", release, tmp_path / "out", steps=1, more=SMALL), change, name=name
    )
    trainer.run()
    assert "mask_o" not in log(tmp_path / "out")[0]


def test_sources_without_an_address_are_named_before_any_work(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(train, "start_processes", lambda: torch.device("cpu"))
    monkeypatch.chdir(tmp_path)
    files = (CONFIGS / "base.toml", CONFIGS / "debug_size.toml")
    assert train.main([x for path in files for x in ("--config", str(path))]) == 2
    told = capsys.readouterr().err
    assert told.startswith(
        "error: sources: coyo-700m, wukong, chen-2025a, laion-5b, cc3m, journeydb: uri '', should be a folder"
    )
    assert not list(tmp_path.iterdir())
    alone = load_config([CONFIGS / "groundedit_only.toml"])
    assert [(source.name, bool(source.uri)) for source in alone.sources] == [("groundedit", True)]
