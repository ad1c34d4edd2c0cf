"""The edit command writes what it promises in every mode; the chain's contexts are what they should be."""

import json

import pytest

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from intercog_model.backbone.autoencoder import AutoEncoder  # noqa: E402
from intercog_model.backbone.bagel import Bagel  # noqa: E402
from intercog_model.config import debug_config  # noqa: E402
from intercog_model.edit import main  # noqa: E402
from intercog_model.inference.chain import ChainSettings, run_chain  # noqa: E402
from intercog_model.inference.pipeline import Pipeline  # noqa: E402
from intercog_model.inference.plain_modes import edit, edit_crop, edit_crops, edit_many  # noqa: E402
from intercog_model.inference.sampler import SamplerSettings, separate_velocities  # noqa: E402
from intercog_model.saving import Weights, save_folder  # noqa: E402
from tests.intercog_model import toys  # noqa: E402
from tests.intercog_model.toys import command_line  # noqa: E402

FAST = SamplerSettings(points=3)


def command(picture, out, *more):
    return main([*command_line(picture, out), *more])


@pytest.mark.parametrize(
    ("mode", "files"),
    [
        ("intercog", {"result.t1.txt", "result.t2.txt", "result.grounded.png", "result.edited.png"}),
        ("edit", {"result.edited.png"}),
        ("edit-think", {"result.edited.png", "result.thought.txt"}),
        ("understand", {"result.txt"}),
    ],
)
def test_a_mode_writes_its_files_at_the_size_of_the_source(mode, files, picture, tmp_path):
    assert command(picture, tmp_path / "out", "--mode", mode) == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == files
    for path in (tmp_path / "out").glob("*.png"):
        assert Image.open(path).size == (70, 50)


def test_text_to_image_has_the_size_that_was_asked_for(tmp_path):
    arguments = [
        "--model",
        "random-debug",
        "--out",
        str(tmp_path),
        "--points",
        "2",
        "--mode",
        "text-to-image",
    ]
    assert main([*arguments, "--instruction", "A box.", "--size", "32", "48"]) == 0
    assert Image.open(tmp_path / "result.png").size == (48, 32)


def test_a_manifest_and_a_folder_give_the_same_results(picture, tmp_path):
    picture.with_suffix(".txt").write_text("Paint it.\n")
    manifest = tmp_path / "jobs.jsonl"
    manifest.write_text(
        json.dumps({"key": "scene", "image": "in/scene.png", "instruction": "Paint it."}) + "\n"
    )
    start = ["--model", "random-debug", "--mode", "edit", "--points", "2"]
    results = []
    for name, source in (("a", manifest), ("b", picture.parent)):
        assert main([*start, "--batch", str(source), "--out", str(tmp_path / name)]) == 0
        results.append((tmp_path / name / "scene.edited.png").read_bytes())
    assert results[0] == results[1]


def test_a_picture_is_edited_as_its_exif_says_it_is_viewed(tmp_path):
    image = toys.example(size=(70, 50)).source
    exif = image.getexif()
    exif[0x112] = 6  # the camera was held upright
    image.save(tmp_path / "turned.png", exif=exif)
    upright = image.transpose(Image.Transpose.ROTATE_270)
    upright.save(tmp_path / "upright.png")
    results = []
    for name in ("turned", "upright"):
        assert command(tmp_path / f"{name}.png", tmp_path / name, "--mode", "edit") == 0
        results.append(np.array(Image.open(tmp_path / name / "result.edited.png")))
    assert results[0].shape == (70, 50, 3)
    assert np.array_equal(*results)


def test_a_bad_picture_is_told_by_its_key_and_the_rest_of_the_batch_is_drawn(picture, tmp_path, capsys):
    for name in ("a", "b", "c"):
        (picture.parent / f"{name}.png").write_bytes(picture.read_bytes() if name != "b" else b"junk")
        (picture.parent / f"{name}.txt").write_text("Paint it.")
    picture.unlink()
    batch = ["--model", "random-debug", "--mode", "edit", "--points", "2", "--batch", str(picture.parent)]
    out = tmp_path / "out"
    assert main([*batch, "--out", str(out)]) == 1
    told = capsys.readouterr()
    assert told.err == f"b: failed, {picture.parent / 'b.png'}: no picture of a known format\n"
    assert told.out.splitlines() == ["a: done", "c: done", "2 done, 0 done before, 1 failed"]
    assert {p.name for p in out.iterdir()} == {"a.edited.png", "c.edited.png"}


def test_finished_jobs_of_a_batch_are_skipped_and_told(picture, tmp_path, capsys, monkeypatch):
    picture.with_suffix(".txt").write_text("Paint it.")
    for mode, name in (("edit", "scene.edited.png"), ("understand", "scene.txt")):
        out = tmp_path / mode
        batch = ["--model", "random-debug", "--points", "2", "--max-tokens", "3", "--mode", mode]
        batch += ["--batch", str(picture.parent), "--out", str(out)]
        assert main(batch) == 0
        first = (out / name).read_bytes()
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr("intercog_model.edit.run_job", pytest.fail)
            assert main(batch) == 0
        told = capsys.readouterr().out.splitlines()
        assert told == [f"scene: done before, {name} exists", "0 done, 1 done before, 0 failed"]
        assert (out / name).read_bytes() == first


@pytest.mark.slow
def test_a_saved_folder_edits_as_the_model_it_was_saved_from(pipeline, picture, tmp_path):
    save_folder(
        Weights.of(pipeline.model.state_dict()), pipeline.model.config, pipeline.vae, tmp_path / "model"
    )
    (tmp_path / "model" / "intercog.json").write_text('{"flavor": "debug"}')
    out = tmp_path / "out"
    arguments = ["--model", str(tmp_path / "model"), "--dtype", "float32", "--mode", "edit", "--points", "3"]
    assert main([*arguments, "--image", str(picture), "--instruction", "Paint it.", "--out", str(out)]) == 0
    expected = edit(pipeline, Image.open(picture), "Paint it.", seed=0, settings=FAST).edited
    assert np.array_equal(np.array(Image.open(out / "result.edited.png")), np.array(expected))


def test_the_crop_editor_is_a_function_of_crop_instruction_and_seed(pipeline):
    crop = np.array(toys.example(size=(50, 40)).source)
    first, again = (edit_crop(pipeline, crop, "Paint it.", 3, FAST) for _ in range(2))
    assert first.shape == crop.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, edit_crop(pipeline, crop, "Paint it.", 4, FAST))
    with pytest.raises(ValueError, match="uint8"):
        edit_crop(pipeline, crop.astype(np.float32), "Paint it.", 3, FAST)


def test_crops_edited_together_are_those_edited_alone(pipeline, monkeypatch):
    sizes = [(50, 40), (49, 41), (64, 20), (50, 40)]
    crops = [np.array(toys.example(size=size).source) for size in sizes]
    words, seeds = ["Paint it.", "Paint it red and green.", "Take it away.", "Paint it."], [3, 4, 5, 6]
    alone = [edit_crop(pipeline, *each, FAST) for each in zip(crops, words, seeds, strict=True)]
    batches = []
    draw_many = Pipeline.draw_many

    def counted(self, pictures, *rest):
        batches.append(len(pictures))
        return draw_many(self, pictures, *rest)

    monkeypatch.setattr(Pipeline, "draw_many", counted)
    together = edit_crops(pipeline, crops, words, seeds, FAST)
    assert sorted(batches) == [1, 3], "crops that the network sees at one size share their steps"
    for one, other, crop in zip(alone, together, crops, strict=True):
        assert other.shape == crop.shape
        assert np.abs(one.astype(int) - other.astype(int)).max() <= 1
    assert not np.array_equal(together[0], together[3]), "each crop keeps its own seed"


def test_pictures_of_two_sizes_are_no_batch(pipeline):
    images = [toys.example(size=size).source for size in ((50, 40), (64, 20))]
    with pytest.raises(ValueError, match="have the sizes"):
        edit_many(pipeline, images, ["Paint it."] * 2, seeds=[1, 2], settings=FAST)
    assert edit_many(pipeline, [], [], seeds=[]) == []


def test_a_picture_that_is_not_finite_is_an_error(pipeline, monkeypatch):
    monkeypatch.setattr(
        "intercog_model.inference.pipeline.sample_latent", lambda contexts, noise, *_: noise * float("nan")
    )
    with pytest.raises(FloatingPointError, match="not finite"):
        edit(pipeline, toys.example().source, "Paint it.", seed=0, settings=FAST)


@pytest.mark.parametrize(
    "changes",
    [
        {"text_reasoning": False},
        {"visual_reasoning": False},
        {"system_prompt": ""},
        {"feedback": "vit"},
        {"keep_v_without_text": True},
    ],
)
def test_each_switch_of_the_chain_changes_its_result(pipeline, changes):
    image = toys.example().source
    settings = {"sampler": FAST, "max_tokens": 4}
    base = run_chain(pipeline, image, "Paint it.", ChainSettings(**settings), 0)
    other = run_chain(pipeline, image, "Paint it.", ChainSettings(**settings | changes), 0)
    assert not np.array_equal(np.array(base.edited), np.array(other.edited))
    assert (other.grounded is None) == ("visual_reasoning" in changes)


def test_batched_and_separate_guidance_draw_the_same_chain(pipeline):
    plain = Pipeline(
        model=pipeline.model,
        vae=pipeline.vae,
        tokenizer=pipeline.tokenizer,
        vae_rule=pipeline.vae_rule,
        vit_rule=pipeline.vit_rule,
        velocities=separate_velocities,
    )
    settings = ChainSettings(sampler=FAST, max_tokens=4)
    results = [run_chain(p, toys.example().source, "Paint it.", settings, 0) for p in (pipeline, plain)]
    assert results[0].first_text == results[1].first_text
    gap = np.abs(np.array(results[0].edited, dtype=int) - np.array(results[1].edited, dtype=int))
    assert gap.max() <= 1


def test_a_chain_of_two_targets_runs(pipeline):
    example = toys.example(boxes=((4, 4, 20, 20), (40, 28, 60, 44)), instruction="Paint both.")
    result = run_chain(
        pipeline, example.source, example.instruction, ChainSettings(sampler=FAST, max_tokens=4), 1
    )
    assert result.edited.size == example.source.size


def test_the_edit_needs_no_auxiliary_module():
    config = debug_config()
    names = set(Bagel(config).state_dict()) | set(AutoEncoder(config.vae).state_dict())
    assert not [name for name in names if "projector" in name or "mask_decoder" in name]
