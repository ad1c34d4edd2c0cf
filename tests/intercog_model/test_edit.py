"""The edit command writes what it promises in every mode; the chain's contexts are what they should be."""

import json
import sys

import pytest

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from intercog_model.backbone.autoencoder import AutoEncoder  # noqa: E402
from intercog_model.backbone.bagel import Bagel  # noqa: E402
from intercog_model.checkpoint import save_folder  # noqa: E402
from intercog_model.config import debug_config  # noqa: E402
from intercog_model.edit import main  # noqa: E402
from intercog_model.inference.chain import ChainSettings, run_chain  # noqa: E402
from intercog_model.inference.jobs import read_jobs  # noqa: E402
from intercog_model.inference.pipeline import Pipeline, debug_pipeline  # noqa: E402
from intercog_model.inference.plain_modes import edit, edit_crop  # noqa: E402
from intercog_model.inference.sampler import SamplerSettings, separate_velocities  # noqa: E402
from tests.intercog_model import toys  # noqa: E402

FAST = SamplerSettings(points=3)


@pytest.fixture(scope="module")
def pipeline():
    model, vae = toys.models()
    return debug_pipeline(model.bagel, vae)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "in" / "scene.png"
    path.parent.mkdir()
    toys.example(size=(70, 50)).source.save(path)
    return path


def command_line(picture, out):
    return [
        "--model", "random-debug", "--out", str(out), "--points", "2", "--max-tokens", "3", "--image", str(picture),
        "--instruction", "Paint it.",
    ]  # fmt: skip


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


def test_wrong_arguments_end_with_code_2(picture, tmp_path):
    for arguments in (
        ["--mode", "edit"],
        ["--image", str(picture)],
        ["--batch", str(tmp_path), "--mode", "text-to-image"],
        ["--batch", str(tmp_path), "--instruction", "Paint it."],
        ["--batch", str(tmp_path), "--image", str(picture)],
        ["--image", str(picture), "--instruction", "Paint it.", "--size", "32", "32"],
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["--model", "random-debug", "--out", str(tmp_path), *arguments])
        assert stopped.value.code == 2


@pytest.fixture
def no_model(monkeypatch):
    """Fails a command that goes as far as to load a model."""

    def load(_options):
        pytest.fail("the model was loaded")

    monkeypatch.setattr("intercog_model.edit._pipeline", load)


def refused(capsys, arguments):
    """The one line that a refused command tells."""
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    return line


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    "more",
    [
        ["--points", "1"],
        ["--points", "0"],
        ["--points", "-5"],
        ["--max-tokens", "-1"],
        ["--device", "xx"],
        ["--device", "meta"],
        ["--device", "cuda:99"],
        ["--instruction", "half a pair: \ud83d"],
        ["--model", "/nowhere"],
        ["--image", "/nowhere.png"],
    ],
)
def test_a_wrong_option_is_one_line_with_its_name_and_value_before_a_model_is_loaded(
    more, picture, tmp_path, capsys
):
    base = ["--model", "random-debug", "--image", str(picture), "--instruction", "Paint it."]
    line = refused(capsys, [*base, "--out", str(tmp_path / "out"), *more])
    value = more[1] if more[0] != "--instruction" else repr(more[1])
    assert line.startswith(f"error: {more[0]} {value}: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_model")
def test_a_seed_that_no_generator_takes_is_refused(picture, tmp_path, capsys):
    line = refused(capsys, [*command_line(picture, tmp_path / "out"), "--seed", str(10**30)])
    assert line.startswith(f"error: --seed {10**30} is outside [-9223372036854775808, ")


@pytest.mark.usefixtures("no_model")
def test_a_picture_of_fractions_is_refused(tmp_path, capsys):
    path = tmp_path / "fractions.tiff"
    Image.fromarray(np.full((8, 8), 0.5, dtype=np.float32)).save(path)
    line = refused(capsys, command_line(path, tmp_path / "out"))
    assert line == f"error: --image {path}: its values are fractions, of which none is known to be white"


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("bits", ["4", "8"])
def test_fewer_bits_without_their_library_are_refused_with_what_to_install(
    bits, picture, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)  # as if it were not installed
    line = refused(capsys, [*command_line(picture, tmp_path / "out"), "--bits", bits])
    assert line.startswith(f"error: --bits {bits}: ")
    assert "pip install bitsandbytes" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("size", ["30 50", "0 0", "-16 16", "4096 16"])
def test_a_size_that_the_model_cannot_draw_is_refused(size, tmp_path, capsys):
    base = ["--model", "random-debug", "--mode", "text-to-image", "--instruction", "A box."]
    line = refused(capsys, [*base, "--out", str(tmp_path), "--size", *size.split()])
    assert line.startswith(f"error: --size {size}: both must be multiples of 4, 4 to 128")


@pytest.mark.usefixtures("no_model")
def test_a_picture_that_cannot_be_read_is_refused(picture, tmp_path, capsys):
    whole = picture.read_bytes()
    for name, data in (("empty", b""), ("cut", whole[: len(whole) // 2]), ("text", b"hello")):
        bad = tmp_path / f"{name}.png"
        bad.write_bytes(data)
        line = refused(capsys, command_line(bad, tmp_path / "out"))
        assert line.startswith(f"error: --image {bad}: ")
    assert "directory" in refused(capsys, command_line(tmp_path, tmp_path / "out"))


@pytest.mark.usefixtures("no_model")
def test_a_folder_without_a_model_or_its_tokeniser_is_refused(pipeline, picture, tmp_path, capsys):
    save_folder(pipeline.model.state_dict(), pipeline.model.config, pipeline.vae, tmp_path / "model")
    for folder, match in ((tmp_path / "in", "tokenizer.json"), (tmp_path / "model", "tokenizer.json")):
        line = refused(capsys, [*command_line(picture, tmp_path / "out"), "--model", str(folder)])
        assert line.startswith(f"error: --model {folder}: ")
        assert match in line
    (tmp_path / "model" / "intercog.json").write_text('{"flavour": "debug"}')
    (tmp_path / "model" / "ae.safetensors").write_bytes(b"cut")
    refused(capsys, [*command_line(picture, tmp_path / "out"), "--model", str(tmp_path / "model")])


@pytest.mark.usefixtures("no_model")
def test_a_file_as_the_folder_for_results_is_refused(picture, capsys):
    assert refused(capsys, command_line(picture, picture)) == f"error: --out {picture} is a file"


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


@pytest.mark.usefixtures("no_model")
def test_a_folder_whose_jobs_are_not_all_clear_is_refused_before_anything_is_drawn(tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    start = ["--model", "random-debug", "--out", str(tmp_path / "out"), "--batch"]
    assert "no pictures" in refused(capsys, [*start, str(folder)])
    assert refused(capsys, [*start, str(tmp_path / "x")]).startswith(f"error: --batch {tmp_path / 'x'}: ")
    for name in ("a.png", "b.png"):
        toys.example().source.save(folder / name)
    (folder / "a.txt").write_text("Paint it.")
    assert "b.png has no b.txt" in refused(capsys, [*start, str(folder)])
    (folder / "b.png").rename(folder / "a.jpg")
    assert "a.jpg and a.png would write the same files" in refused(capsys, [*start, str(folder)])


GOOD = '{"key": "k", "image": "a.png", "instruction": "x"}'


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'{"key": \n', ", line 1: no JSON"),
        (b"\n5\n", ", line 2: 5 is no object"),
        (b"[1]", ", line 1: [1] is no object"),
        (b"\xff\xfe\x00", ", line 1: no UTF-8 text"),
        (GOOD.replace('"x"', "5").encode(), ", line 1: instruction 5 is no text"),
        (GOOD.replace('"a.png"', "null").encode(), ", line 1: image None is no text"),
        (GOOD.replace('"k"', '".."').encode(), ", line 1: the key '..' is no file name"),
        (GOOD.replace('"k"', "null").encode(), ", line 1: the key None is no file name"),
        (b'{"key": "k"}', ", line 1: no image, instruction"),
        (f"{GOOD}\n\n{GOOD}".encode(), ", line 3: the key 'k' is that of line 1"),
        (b"", ": no jobs in it"),
    ],
)
def test_a_fault_of_a_manifest_is_told_with_its_line(text, told, tmp_path, capsys):
    manifest = tmp_path / "jobs.jsonl"
    manifest.write_bytes(text)
    line = refused(
        capsys, ["--model", "random-debug", "--batch", str(manifest), "--out", str(tmp_path / "out")]
    )
    assert line.startswith(f"error: --batch {manifest}{told}")


@pytest.mark.slow
def test_a_saved_folder_edits_as_the_model_it_was_saved_from(pipeline, picture, tmp_path):
    save_folder(pipeline.model.state_dict(), pipeline.model.config, pipeline.vae, tmp_path / "model")
    (tmp_path / "model" / "intercog.json").write_text('{"flavour": "debug"}')
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


@pytest.mark.parametrize(
    "changes",
    [
        {"text_reasoning": False},
        {"visual_reasoning": False},
        {"system_prompt": False},
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


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("key", "told"),
    [("k" * 300, "the key kkkkkkkkkkkkkkkkkkkk… has 300 bytes, 200"), ("\ud800", "is no text")],
)
def test_a_key_that_no_file_can_be_called_is_refused_by_its_line(key, told, picture, tmp_path, capsys):
    manifest = tmp_path / "jobs.jsonl"
    lines = [{"key": k, "image": picture.name, "instruction": "Paint it."} for k in ("good", key)]
    manifest.write_text("\n".join(map(json.dumps, lines)))
    start = ["--model", "random-debug", "--batch", str(manifest), "--out", str(tmp_path / "out")]
    line = refused(capsys, start)
    assert line.startswith(f"error: --batch {manifest}, line 2: ")
    assert told in line


@pytest.mark.usefixtures("no_model")
def test_results_go_neither_among_the_pictures_of_a_batch_nor_over_a_folder(picture, tmp_path, capsys):
    picture.with_suffix(".txt").write_text("Paint it.")
    start = ["--model", "random-debug", "--batch", str(picture.parent), "--out"]
    assert "would be its pictures" in refused(capsys, [*start, str(picture.parent)])
    out = tmp_path / "results"
    (out / f"{picture.stem}.edited.png").mkdir(parents=True)
    assert "in it is a folder" in refused(capsys, [*start, str(out)])


def test_a_manifest_may_begin_with_a_byte_order_mark(tmp_path):
    manifest = tmp_path / "jobs.jsonl"
    manifest.write_text(json.dumps({"key": 1, "image": "a.png", "instruction": "x"}), encoding="utf-8-sig")
    assert [job.key for job in read_jobs(manifest)] == ["1"]
