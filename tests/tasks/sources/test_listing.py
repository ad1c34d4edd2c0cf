"""Sources as a whole: errors are reported before work, exclusions are counted."""

import os
import tarfile
from functools import partial

import pytest

from tasks.records.errors import ConfigurationError, Reason
from tasks.records.outcomes import StageInput
from tasks.sources import listing
from tasks.sources.listing import list_sources
from tasks.sources.reading import SourceReader, source_id
from tasks.sources.settings import IngestSettings, SourceSettings
from tasks.stages.ingest.stage import ingest
from tests.tasks.stages.answering import answered


def folder(tmp_path, *names):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return SourceSettings(uri=str(tmp_path), name="s")


def test_the_name_is_the_folders_own_by_default(tmp_path):
    source = folder(tmp_path / "holiday", "x.jpg").model_copy(update={"name": ""})
    assert [e.location for e in list_sources([source]).entries] == ["holiday/x.jpg"]
    slashed = source.model_copy(update={"uri": source.uri + "/"})
    assert [e.location for e in list_sources([slashed]).entries] == ["holiday/x.jpg"]
    filed = source.model_copy(update={"uri": "file://" + source.uri})
    assert [e.location for e in list_sources([filed]).entries] == ["holiday/x.jpg"]


def test_several_sources_are_sorted_together(tmp_path):
    b, a = (folder(tmp_path / n, "x.jpg").model_copy(update={"name": n}) for n in ("b", "a"))
    assert [e.location for e in list_sources([b, a]).entries] == ["a/x.jpg", "b/x.jpg"]


PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
JPEG = b"\xff\xd8\xff\xe0" + bytes(40)


def located(entries):
    return [entry.location for entry in entries]


def test_a_limit_counts_photographs_and_not_what_lies_between_them(tmp_path):
    contents = {
        "._a.jpg": b"\x00\x05\x16\x07" + bytes(40),
        ".hidden.png": PNG,
        "a.jpg": JPEG,
        "a.json": b"{}",
        "b.heic": bytes(4) + b"ftypheic" + bytes(40),
        "c.jpg": b"",
        "d": PNG,
        "e.jpg": b"<html>",
        "f.jpg": JPEG,
        "g.txt": b"",
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    os.mkfifo(tmp_path / "b.jpg")
    source = SourceSettings(uri=str(tmp_path), name="s")
    everything = located(list_sources([source]).entries)
    ends = {1: "s/.hidden.png", 2: "s/a.jpg", 3: "s/d", 4: "s/f.jpg", 5: "s/g.txt", 99: "s/g.txt"}
    for limit, end in ends.items():
        taken = located(list_sources([source], limit=limit).entries)
        assert taken == everything[: everything.index(end) + 1], limit
    assert located(list_sources([source], limit=0).entries) == everything


def test_the_smallest_limit_takes_a_photograph_beside_a_hidden_file(tmp_path):
    (tmp_path / "._a.jpg").write_bytes(b"\x00\x05\x16\x07" + bytes(40))
    (tmp_path / "a.jpg").write_bytes(JPEG)
    source = SourceSettings(uri=str(tmp_path), name="s")
    assert located(list_sources([source], limit=1).entries) == ["s/._a.jpg", "s/a.jpg"]


def test_a_limit_is_the_same_in_any_order_and_over_all_sources(tmp_path):
    for name in ("x/2.jpg", "x/1.txt", "y/0.jpg", "x/3.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(JPEG)
    (tmp_path / "x" / "1.txt").write_bytes(b"text")
    x, y = (SourceSettings(uri=str(tmp_path / name)) for name in "xy")
    for sources in ([x, y], [y, x]):
        assert located(list_sources(sources, limit=2).entries) == ["x/1.txt", "x/2.jpg", "x/3.jpg"]


def test_excluded_photographs_do_not_count_for_a_limit(tmp_path):
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        (photographs / name).write_bytes(JPEG + name.encode())
    listed = tmp_path / "out.list"
    listed.write_text(f"s/a.jpg\n{source_id(JPEG + b'b.jpg')}\n", encoding="utf-8")
    entries = list_sources(
        [SourceSettings(uri=str(photographs), name="s")], exclude=str(listed), limit=1
    ).entries
    assert [(e.location, e.problem) for e in entries] == [
        ("s/a.jpg", "excluded"),
        ("s/b.jpg", "excluded"),
        ("s/c.jpg", ""),
    ]


def test_a_limit_counts_the_rows_of_a_list_that_point_to_photographs(tmp_path):
    (tmp_path / "a.jpg").write_bytes(JPEG)
    (tmp_path / "b.jpg").write_bytes(b"text")
    rows = [
        "b.jpg",
        "a.jpg",
        "gone.jpg",
        "gopher://x",
        "http://host.invalid/x.jpg",
        "s3://bucket/y.jpg",
        "z.jpg",
    ]
    (tmp_path / "all.csv").write_text("\n".join(["uri", *rows]), encoding="utf-8")
    source = SourceSettings(uri=str(tmp_path / "all.csv"), name="s")
    order = ["a.jpg", "b.jpg", "bucket/y.jpg", "gone.jpg", "host.invalid/x.jpg", "row-4", "z.jpg"]
    for limit, count in {1: 1, 2: 3, 3: 5, 4: 7}.items():
        assert located(list_sources([source], limit=limit).entries) == [f"s/{key}" for key in order[:count]]


def test_wrong_sources_are_named_with_key_and_value(tmp_path):
    good = folder(tmp_path / "good", "x.jpg")
    (tmp_path / "empty").mkdir()
    texts = folder(tmp_path / "texts", "a.txt", "b.json")
    single = tmp_path / "good" / "x.jpg"
    circle = tmp_path / "circle"
    circle.symlink_to("circle")
    cases = [
        ([SourceSettings(uri=str(tmp_path / "nowhere"))], "sources.0.uri", "nowhere"),
        ([good, SourceSettings(uri=str(tmp_path / "empty"))], "sources.1.uri", "no pictures"),
        ([texts], "sources.0.uri", "no pictures"),
        ([SourceSettings(uri=str(single))], "sources.0.uri", "folder"),
        ([SourceSettings(uri="ftp://host/x")], "sources.0.uri", "ftp://host/x"),
        ([SourceSettings(uri="https://host/x.jpg")], "sources.0.uri", "web address"),
        ([SourceSettings(uri="file://elsewhere/x")], "sources.0.uri", "another machine"),
        ([SourceSettings(uri="s3:/bucket/x")], "sources.0.uri", "expected s3://"),
        ([SourceSettings(uri="s3://bucket", kind="tar")], "sources.0.uri", "no tar"),
        ([SourceSettings(uri=str(tmp_path / ("x" * 300)))], "sources.0.uri", "too long"),
        ([SourceSettings(uri=str(circle))], "sources.0.uri", "looked at"),
        ([SourceSettings(uri="")], "sources.0.uri", "''"),
        ([good, good], "sources.1.name", "'s'"),
        ([good.model_copy(update={"name": "a/b"})], "sources.0.name", "a/b"),
        ([good.model_copy(update={"name": ".."})], "sources.0.name", "'..'"),
        ([SourceSettings(uri=str(tmp_path / "nowhere.tar"))], "sources.0.uri", "nowhere.tar"),
        ([SourceSettings(uri=str(tmp_path / "nowhere.csv"))], "sources.0.uri", "nowhere.csv"),
        ([SourceSettings(uri=str(tmp_path), kind="tar")], "sources.0.uri", "tar"),
    ]
    for sources, key, value in cases:
        with pytest.raises(ConfigurationError) as caught:
            list_sources(sources)
        assert key in str(caught.value), sources
        assert value in str(caught.value), sources


def test_pictures_without_an_ending_count_as_pictures(tmp_path, pictures):
    (tmp_path / "IMG0001").write_bytes(pictures.save(pictures.draw()))
    (tmp_path / "empty").write_bytes(b"")
    assert len(list_sources([SourceSettings(uri=str(tmp_path))]).entries) == 2


def test_excluded_locations_stay_as_rows(tmp_path):
    source = folder(tmp_path, "a.jpg", "b.jpg", "sub/c.jpg", "sub/d.jpg", "odd[1].jpg")
    listed = tmp_path / "out.list"
    listed.write_text("# not these\n\ns/a.jpg\n s/sub/* \ns/odd[1].jpg\n", encoding="utf-8")
    entries = list_sources([source], exclude=str(listed)).entries
    assert {e.location for e in entries if e.problem == "excluded"} == {
        "s/a.jpg",
        "s/odd[1].jpg",
        "s/sub/c.jpg",
        "s/sub/d.jpg",
    }
    assert {e.location for e in entries if not e.problem} == {"s/b.jpg", "s/out.list"}


def test_excluded_ids_are_found_by_their_bytes(tmp_path, pictures):
    data = pictures.save(pictures.draw())
    for name in ("a.jpg", "copy.jpg"):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "other.jpg").write_bytes(b"other")
    listed = tmp_path.parent / f"{tmp_path.name}.list"
    listed.write_text(f"{source_id(data)}-t0-p0\n", encoding="utf-8")
    sources = [SourceSettings(uri=str(tmp_path), name="s")]
    entries = list_sources(sources, exclude=str(listed)).entries
    assert {e.location: e.problem for e in entries} == {
        "s/a.jpg": "excluded",
        "s/copy.jpg": "excluded",
        "s/other.jpg": "",
    }
    inputs = [StageInput(id=entry.location, record=entry, blobs={}) for entry in entries]
    outcome = answered(
        partial(ingest, reader=SourceReader(sources), settings=IngestSettings()), inputs, None
    )[0]
    assert outcome.reason == Reason.EXCLUDED


def test_exclusions_that_name_nothing_are_reported(tmp_path, pictures):
    data = pictures.save(pictures.draw())
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for name in ("a.jpg", "b.jpg", "c[1].jpg"):
        (photographs / name).write_bytes(data if name == "a.jpg" else JPEG + name.encode())
    sources = [SourceSettings(uri=str(photographs), name="s")]
    ours, strange = source_id(data), source_id(b"of another collection")
    listed = tmp_path / "out.list"
    lines = ["s/b.jpg", "s/c[1].jpg", "s/*.jpg", ours, "s/B.jpg", "t/*", f"{strange}-t0-p1"]
    listed.write_text("\n".join(lines), encoding="utf-8")
    assert list_sources(sources, exclude=str(listed)).idle_exclusions == (
        *sorted([strange, "s/B.jpg", "t/*"]),
    )
    # b.jpg is beyond the limit, and the other line's id is unknown since not all files were read
    listed.write_text("\n".join(["s/b.jpg", strange, "s/B.jpg", "t/*"]), encoding="utf-8")
    assert list_sources(sources, exclude=str(listed), limit=1).idle_exclusions == ("s/B.jpg", "t/*")
    assert list_sources(sources).idle_exclusions == ()


def test_the_output_is_not_a_source(tmp_path):
    source = folder(tmp_path, "a.jpg", "out/demo/gallery/b.jpg", "out/c.jpg")
    entries = list_sources([source], out=str(tmp_path / "out" / "demo")).entries
    assert [e.location for e in entries] == ["s/a.jpg", "s/out/c.jpg"]
    with pytest.raises(ConfigurationError, match="output"):
        list_sources([source], out=str(tmp_path))


def test_an_exclusion_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"x")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, why in {"missing": "No such file", "binary": "not UTF-8", "": "Is a directory"}.items():
        with pytest.raises(ConfigurationError, match=f"exclude=.*{why}"):
            list_sources([SourceSettings(uri=str(tmp_path))], exclude=str(tmp_path / name))


@pytest.mark.parametrize("name", ["~x", "~", "$HOME", "%41", "a b", "nl\nx", "\udcff", "100%25"])
def test_a_folder_with_an_odd_name_is_a_source_like_others(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / name, "a.jpg")
    for uri in (
        f"./{name}",
        str(tmp_path / name),
        (tmp_path / name).as_uri(),
        f"FILE://localhost{tmp_path}/~x",
    ):
        if uri.startswith("FILE") and name != "~x":
            continue
        entries = list_sources([SourceSettings(uri=uri)]).entries
        assert [entry.location.rpartition("/")[2] for entry in entries] == ["a.jpg"]
        assert SourceReader([SourceSettings(uri=uri)]).data(entries[0], 100) == b"a.jpg"
        assert entries[0].location.isprintable()


def test_a_password_in_a_source_is_not_repeated():
    with pytest.raises(ConfigurationError) as caught:
        list_sources([SourceSettings(uri="s3://key:secret@bucket/x")])
    assert "secret" not in str(caught.value)


def test_photographs_without_a_suffix_are_found_among_any_number_of_other_files(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "MAX_SNIFFED", 3)
    for n in range(9):
        (tmp_path / f"a{n}.json").write_bytes(b"{}")
    (tmp_path / "zzz").write_bytes(JPEG)
    assert len(list_sources([SourceSettings(uri=str(tmp_path))]).entries) == 10


def test_an_archive_is_known_by_its_name_and_not_by_its_spelling(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        (tmp_path / "a.jpg").write_bytes(JPEG)
        tar.add(tmp_path / "a.jpg", "a.jpg")
    for spelled in ("x.tar", "x%2Etar", "%78.tar"):
        assert located(list_sources([SourceSettings(uri=f"file://{tmp_path}/{spelled}")]).entries) == [
            "x/x.tar/a.jpg"
        ]
