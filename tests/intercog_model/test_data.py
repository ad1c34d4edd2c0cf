"""Shards of every kind are read, faults are named, and the stream is a function of its position."""

import io
import json
import struct
import zlib

import pytest

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from intercog_model.config import debug_config  # noqa: E402
from intercog_model.data.chain_text import first_text, parse_text, second_text  # noqa: E402
from intercog_model.data.draws import Draws  # noqa: E402
from intercog_model.data.example import CaptionExample  # noqa: E402
from intercog_model.data.mixture import Mixture, SourceConfig  # noqa: E402
from intercog_model.data.pictures import open_picture  # noqa: E402
from intercog_model.data.shards import BrokenSample, WrongSchemaVersionError, open_uri, read_shard  # noqa: E402
from intercog_model.data.tokenizer import ByteTokenizer  # noqa: E402
from intercog_model.errors import ConfigurationError  # noqa: E402
from intercog_model.packing.pack import sample_length  # noqa: E402
from tests.intercog_model import release, toys  # noqa: E402


def examples(count):
    return [
        toys.example(f"k{i}", boxes=((i, i, 20 + i, 18),), instruction=f"Edit {i}.") for i in range(count)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return release.write_release(tmp_path_factory.mktemp("data") / "release", examples(10))


def source(uri, name="g", kind="grounding", **more):
    return SourceConfig(name=name, kind=kind, uri=str(uri), **more)


def test_a_release_gives_back_what_was_written(folder):
    with open_uri(str(folder / "train-000000.tar")) as stream:
        read = list(read_shard(stream, "grounding"))
    for ours, written in zip(read, examples(4), strict=True):
        assert (ours.key, ours.instruction, ours.sections) == (
            written.key,
            written.instruction,
            written.sections,
        )
        assert (ours.mask == written.mask).all()
        assert ours.edited.tobytes() == written.edited.tobytes()


def test_each_pass_holds_every_sample_once_in_another_order(folder):
    mixture = Mixture([source(folder)], seed=1)
    first, second = ([mixture.take().key for _ in range(10)] for _ in range(2))
    assert sorted(first) == sorted(second) == sorted(e.key for e in examples(10))
    assert first != second
    other = Mixture([source(folder)], seed=2)
    assert [other.take().key for _ in range(10)] != first


def test_the_stream_goes_on_exactly_where_its_state_was_taken(folder):
    mixture = Mixture([source(folder), source(folder, "h", weight=0.5)], seed=3)
    for _ in range(13):
        mixture.take()
    state = json.loads(json.dumps(mixture.state()))
    expected = [mixture.take().key for _ in range(20)]
    other = Mixture([source(folder), source(folder, "h", weight=0.5)], seed=3)
    other.restore(state)
    assert [other.take().key for _ in range(20)] == expected
    with pytest.raises(ValueError, match="'h'"):
        Mixture([source(folder)], seed=3).restore(state)


def test_sources_that_a_state_could_not_tell_apart_are_refused(folder):
    with pytest.raises(
        ConfigurationError, match=r"sources\[1\]\.name: 'g', should not be that of sources\[0\]"
    ):
        Mixture([source(folder), source(folder)], seed=3)
    with pytest.raises(ValueError, match="name"):
        source(folder, "taken")


def test_weights_are_shares_and_zero_leaves_a_source_out(folder, tmp_path):
    picture = release.png(toys.example().source)
    text = json.dumps({"caption": "A box."}).encode()
    (tmp_path / "t2i").mkdir()
    release.write_tar(tmp_path / "t2i" / "a.tar", {"c": {"image.png": picture, "json": text}})
    sources = [source(folder, weight=3), source(tmp_path / "t2i", "t", "text_to_image", weight=1)]
    mixture = Mixture(sources, seed=0)
    kinds = [type(mixture.take()).__name__ for _ in range(400)]
    assert 70 < kinds.count("TextToImageExample") < 130
    missing = source(tmp_path / "nowhere", "x", weight=0)
    assert len(Mixture([source(folder), missing], seed=0).sources) == 1


def test_general_kinds_are_read_and_their_faults_named(tmp_path):
    picture = release.png(toys.example().source)
    samples = {
        "edit": {"source.png": picture, "edited.png": picture, "json": b'{"instruction": "Do."}'},
        "understanding": {"image.png": picture, "json": b'{"question": "What?", "answer": "A box."}'},
        "text_to_image": {"image.png": picture, "json": b'{"caption": "A box."}'},
        "captions": {"png": picture, "json": b'{"caption": "A box."}'},
    }
    for kind, good in samples.items():
        no_picture = {n: d for n, d in good.items() if n == "json"}
        cut = {n: d[: len(d) // 2] if n != "json" else d for n, d in good.items()}
        path = tmp_path / f"{kind}.tar"
        release.write_tar(
            path, {"good": good, "blind": no_picture, "cut": cut, "mute": {**good, "json": b"{}"}}
        )
        with open_uri(str(path)) as stream:
            read = {item.key: item for item in read_shard(stream, kind)}
        assert not isinstance(read["good"], BrokenSample)
        assert [k for k, item in read.items() if isinstance(item, BrokenSample)] == ["blind", "cut", "mute"]


def test_pictures_of_general_data_are_turned_upright_and_16_bit_grays_scaled(tmp_path):
    turned = toys.example(size=(64, 48)).source
    exif = turned.getexif()
    exif[0x112] = 6
    data = io.BytesIO()
    turned.save(data, format="PNG", exif=exif)
    deep = Image.fromarray(np.full((4, 4), 128 * 257, dtype=np.uint16))
    text = b'{"caption": "A box."}'
    release.write_tar(
        tmp_path / "a.tar",
        {
            "a": {"image.png": data.getvalue(), "json": text},
            "b": {"image.png": release.png(deep), "json": text},
        },
    )
    with open_uri(str(tmp_path / "a.tar")) as stream:
        upright, gray = read_shard(stream, "text_to_image")
    assert np.array_equal(np.array(upright.image), np.array(turned.transpose(Image.Transpose.ROTATE_270)))
    assert (np.array(gray.image) == 128).all()


def test_a_picture_with_damaged_exif_is_taken_as_it_is_stored(tmp_path):
    picture = toys.example().source
    picture.save(tmp_path / "a.jpg", exif=b"Exif\0\0junk that is no TIFF")
    assert open_picture(tmp_path / "a.jpg").size == picture.size


def damage(key, parts):
    if key == "k1":
        return {n: d for n, d in parts.items() if n != "mask.png"}
    if key == "k2":
        return parts | {"edited.png": parts["edited.png"][:90]}
    if key == "k3":
        return parts | {"mask.png": release.png(toys.example(size=(8, 8), boxes=()).source)}
    return parts


def test_broken_samples_are_skipped_by_name_and_counted(tmp_path):
    folder = release.write_release(tmp_path / "r", examples(6), change=damage)
    mixture = Mixture([source(folder)], seed=0)
    keys = {mixture.take().key for _ in range(3)}
    assert keys == {"k0", "k4", "k5"}
    for _ in range(3):
        mixture.take()
    assert set(mixture.broken) == {"k1", "k2", "k3"}
    assert "mask.png" in mixture.reasons["k1"]
    assert "different sizes" in mixture.reasons["k3"]


def oversized(picture):
    """The PNG with a header of 60000 x 60000 pixels, its checksum right."""
    header = picture[12:16] + struct.pack(">II", 60000, 60000) + picture[24:29]
    return picture[:12] + header + struct.pack(">I", zlib.crc32(header)) + picture[33:]


@pytest.mark.parametrize("kind", ["grounding", "edit", "understanding"])
@pytest.mark.parametrize(
    ("text", "reason"),
    [(b"[]", "no object"), (b"5", "no object"), (b"null", "no object"), (b"[" * 100_000, "too deeply")],
)
def test_a_sample_whose_json_is_no_object_is_broken_and_stops_nothing(kind, text, reason, tmp_path):
    parts = release.members(toys.example("a"))
    general = {f"{n}.png": parts["edited.png"] for n in ("source", "edited", "image")}
    good = parts if kind == "grounding" else general
    release.write_tar(tmp_path / "a.tar", {"a": good | {"json": text}, "b": good | {"json": text}})
    with open_uri(str(tmp_path / "a.tar")) as stream:
        read = list(read_shard(stream, kind))
    assert [item.key for item in read] == ["a", "b"]
    assert all(reason in item.reason for item in read)


def test_a_picture_too_large_to_decode_is_a_broken_sample(tmp_path):
    parts = release.members(toys.example("k0"))
    bad = parts | {"edited.png": oversized(parts["edited.png"])}
    release.write_tar(tmp_path / "a.tar", {"k0": bad, "k1": release.members(toys.example("k1"))})
    with open_uri(str(tmp_path / "a.tar")) as stream:
        first, second = read_shard(stream, "grounding")
    assert "3600000000 pixels" in first.reason
    assert second.key == "k1"


def test_the_reason_of_a_broken_picture_is_the_same_in_every_run(tmp_path):
    good = {"image.png": b"junk", "json": b'{"caption": "A box."}'}
    release.write_tar(tmp_path / "a.tar", {"a": good})
    reasons = []
    for _ in range(2):
        with open_uri(str(tmp_path / "a.tar")) as stream:
            reasons += [item.reason for item in read_shard(stream, "text_to_image")]
    assert reasons == ["PictureError: no picture of a known format"] * 2


@pytest.mark.parametrize(
    ("cut", "keys"),
    [
        (0, []),  # nothing arrived
        (300, []),  # within the first header
        (700, ["a"]),  # within a picture: the sample is named too
        (3 * 512, ["a"]),  # between two members
        (4 * 512, ["a"]),  # between two samples: a tar of whole samples, without its end mark
        (4 * 512 + 100, ["a"]),  # within the second sample's header
        (5 * 512 + 100, ["a", "b"]),  # within its picture
    ],
)
def test_a_cut_tar_keeps_the_samples_before_the_cut_and_tells_it_by_name(cut, keys, tmp_path):
    picture = release.png(toys.example(size=(8, 8), boxes=()).source)
    assert len(picture) <= 512
    good = {"image.png": picture, "json": b'{"caption": "A box."}'}
    path = tmp_path / "part.tar"
    release.write_tar(path, {"a": good, "b": good})
    path.write_bytes(path.read_bytes()[:cut])
    with open_uri(str(path)) as stream:
        read = list(read_shard(stream, "text_to_image", str(path)))
    assert [item.key for item in read] == [*keys, "part.tar"]
    assert str(path) in read[-1].reason
    assert isinstance(read[0], BrokenSample) == (cut < 4 * 512)


def test_a_stream_with_a_cut_tar_goes_on_exactly_where_its_state_was_taken(tmp_path):
    folder = release.write_release(tmp_path / "r", examples(8))
    path = folder / "train-000001.tar"
    path.write_bytes(path.read_bytes()[:-20_000])
    mixture = Mixture([source(folder)], seed=0)
    for _ in range(9):
        mixture.take()
    state = json.loads(json.dumps(mixture.state()))
    expected = [mixture.take().key for _ in range(12)]
    other = Mixture([source(folder)], seed=0)
    other.restore(state)
    assert [other.take().key for _ in range(12)] == expected
    assert "train-000001.tar" in mixture.broken
    assert len(set(expected)) < 8


def test_samples_of_the_same_name_in_two_folders_of_a_tar_stay_two(tmp_path):
    picture = release.png(toys.example(size=(8, 8), boxes=()).source)
    texts = {"a/x": "A box.", "b/x": "A cup."}
    parts = {k: {"image.png": picture, "json": json.dumps({"caption": t}).encode()} for k, t in texts.items()}
    release.write_tar(tmp_path / "a.tar", parts)
    with open_uri(str(tmp_path / "a.tar")) as stream:
        assert [item.caption for item in read_shard(stream, "text_to_image")] == list(texts.values())


def test_a_name_that_is_no_utf8_is_spelled_out_and_its_sample_read(tmp_path):
    picture = release.png(toys.example(size=(8, 8), boxes=()).source)
    release.write_tar(
        tmp_path / "a.tar", {"caf\udce9": {"image.png": picture, "json": b'{"caption": "A cup."}'}}
    )
    with open_uri(str(tmp_path / "a.tar")) as stream:
        (item,) = read_shard(stream, "text_to_image")
    assert item.key == "caf\\xe9"
    assert toys.builder().length(item, Draws(0, item.key, 0)) > 0


def test_another_schema_version_is_refused(tmp_path):
    def change(_key, parts):
        return parts | {"json": parts["json"].replace(b'"schema_version":3', b'"schema_version":7')}

    folder = release.write_release(tmp_path / "r", examples(2), change=change)
    with pytest.raises(WrongSchemaVersionError, match=r"k[01]: schema_version 7"):
        Mixture([source(folder)], seed=0).take()


def test_a_source_of_broken_samples_only_is_an_error_and_no_endless_loop(tmp_path):
    folder = release.write_release(
        tmp_path / "r", examples(2), change=lambda _k, parts: parts | {"edited.png": b""}
    )
    with pytest.raises(ValueError, match="no readable sample"):
        Mixture([source(folder)], seed=0).take()
    with pytest.raises(ValueError, match="no shards"):
        Mixture([source(tmp_path, kind="edit")], seed=0)


def test_captions_are_read_as_img2dataset_writes_them(tmp_path):
    picture = release.png(toys.example().source, "JPEG")
    facts = json.dumps({"url": "u", "caption": "Of the list.", "status": "success", "width": 64}).encode()
    release.write_tar(
        tmp_path / "00000.tar",
        {
            "000000000": {"jpg": picture, "json": facts, "txt": b"A box.\n"},
            "000000001": {"jpg": picture, "json": facts},
            "000000002": {"jpg": picture, "json": facts, "txt": b" "},
            "000000003": {"json": facts, "txt": b"A box."},
        },
    )
    with open_uri(str(tmp_path / "00000.tar")) as stream:
        first, second, mute, blind = read_shard(stream, "captions")
    assert (first.caption, first.image.size) == ("A box.", (64, 48))
    assert second.caption == "Of the list."
    assert mute.reason == "ValueError: its caption is empty"
    assert blind.reason == "ValueError: no member jpg, jpeg, png, webp"


def test_a_caption_pair_is_drawn_or_described_by_turns():
    pair = CaptionExample(key="k", image=toys.example().source, caption="A box.")
    plans = [toys.builder().build(pair, Draws(0, "k", step)).sample.items for step in range(200)]
    described = [items for items in plans if items[0].name == "I"]
    assert 70 < len(described) < 130
    assert {tuple(item.name for item in items) for items in plans} == {("I", "caption"), ("c", "O")}
    assert all(items[1].loss and items[1].ids == tuple(b"A box.") for items in described)
    for share, names in ((1.0, ("I", "caption")), (0.0, ("c", "O"))):
        items = toys.builder(described=share).build(pair, Draws(0, "k", 0)).sample.items
        assert tuple(item.name for item in items) == names


def test_the_length_of_a_plan_is_known_without_its_pixels():
    makes = toys.builder(drop_vae=0.5, drop_vit=0.5, drop_text=0.5)
    for i in range(8):
        example, draws = toys.example(f"k{i}", size=(60, 34 + i)), Draws(0, f"k{i}", 0)
        assert makes.length(example, draws) == sample_length(
            makes.build(example, draws).sample, debug_config()
        )


def test_texts_of_the_chain_are_parsed_back():
    sections = toys.example().sections
    tokenizer = ByteTokenizer()
    for tags in ("one pair", "pair per text"):
        first, second = (make(sections, tokenizer, tags) for make in (first_text, second_text))
        assert parse_text(tokenizer.decode(list(first.ids))) == (sections.scene, sections.target)
        assert parse_text(tokenizer.decode(list(second.ids))) == (sections.edit, sections.result)
    assert parse_text("<think>nothing") is None
