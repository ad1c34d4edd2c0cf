"""What the edit command refuses before a model is loaded: options, folders and manifests, each in one line."""

import json
import sys

import pytest

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from intercog_model.edit import main  # noqa: E402
from intercog_model.inference.jobs import read_jobs  # noqa: E402
from intercog_model.saving import Weights, save_folder  # noqa: E402
from tests.intercog_model import toys  # noqa: E402
from tests.intercog_model.toys import command_line  # noqa: E402

GOOD = '{"key": "k", "image": "a.png", "instruction": "x"}'


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
    assert line.startswith(f"error: --seed {10**30}: should be less than or equal to {2**63 - 1}")


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
def test_a_folder_without_a_model_or_its_tokenizer_is_refused(pipeline, picture, tmp_path, capsys):
    save_folder(
        Weights.of(pipeline.model.state_dict()), pipeline.model.config, pipeline.vae, tmp_path / "model"
    )
    for folder, match in ((tmp_path / "in", "tokenizer.json"), (tmp_path / "model", "tokenizer.json")):
        line = refused(capsys, [*command_line(picture, tmp_path / "out"), "--model", str(folder)])
        assert line.startswith(f"error: --model {folder}: ")
        assert match in line
    (tmp_path / "model" / "intercog.json").write_text('{"flavor": "debug"}')
    (tmp_path / "model" / "ae.safetensors").write_bytes(b"cut")
    refused(capsys, [*command_line(picture, tmp_path / "out"), "--model", str(tmp_path / "model")])


@pytest.mark.usefixtures("no_model")
def test_a_file_as_the_folder_for_results_is_refused(picture, capsys):
    assert refused(capsys, command_line(picture, picture)) == f"error: --out {picture} is a file"


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
