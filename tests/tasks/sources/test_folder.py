"""A folder's files, whatever their names and kinds."""

import os
import socket

import pytest

from tasks.records.canonical import seal
from tasks.records.errors import Reason
from tasks.sources.listing import list_sources
from tasks.sources.settings import SourceSettings


def names(folder, **options):
    entries = list_sources([SourceSettings(uri=str(folder), name="s")], **options).entries
    return {entry.location.removeprefix("s/"): entry.problem for entry in entries}


def test_every_file_is_an_entry_sorted_and_with_its_version(tmp_path):
    for name in ("b.jpg", "a.JPG", "notes.txt", ".hidden.png", "deep/er/c.webp", "no-ending"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * len(name))
    entries = list_sources([SourceSettings(uri=str(tmp_path), name="s", license="CC0")]).entries
    assert [e.location for e in entries] == [
        "s/.hidden.png",
        "s/a.JPG",
        "s/b.jpg",
        "s/deep/er/c.webp",
        "s/no-ending",
        "s/notes.txt",
    ]
    info = (tmp_path / "b.jpg").stat()
    assert entries[2].version == f"{info.st_size}-{info.st_mtime_ns}"
    assert {e.license for e in entries} == {"CC0"}
    assert not any(str(tmp_path) in repr(e) for e in entries)


@pytest.mark.parametrize(
    ("raw", "location"),
    [
        (b"caf\xc3\xa9.jpg", "café.jpg"),
        (b"caf\xe9.jpg", "caf%E9.jpg"),
        (b"two\nlines.jpg", "two%0Alines.jpg"),
        (b"\xf0\x9f\x90\xbb.jpg", "\N{BEAR FACE}.jpg"),
        (b"100%.jpg", "100%.jpg"),
        (b"100%41.jpg", "100%2541.jpg"),
        (b"...jpg", "...jpg"),
        (b" .jpg", " .jpg"),
        (b"-rf.jpg", "-rf.jpg"),
        (b"a.b.c..jpg", "a.b.c..jpg"),
        (b"back\\slash.jpg", "back\\slash.jpg"),
        (b"what?x=1&y#z.jpg", "what?x=1&y#z.jpg"),
        (b"x" * 251 + b".jpg", "x" * 251 + ".jpg"),
        (b"\xed\xa0\x80.jpg", "%ED%A0%80.jpg"),
    ],
)
def test_odd_names_are_listed_once_and_can_be_read(tmp_path, pictures, ingest, raw, location):
    (tmp_path / os.fsdecode(raw)).write_bytes(pictures.save(pictures.draw()))
    outcomes = ingest(SourceSettings(uri=str(tmp_path), name="s"))
    assert list(outcomes) == [f"s/{location}"]
    location.encode("utf-8")
    assert outcomes[f"s/{location}"].reason is None


def test_links_are_followed_once_and_loops_end(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.jpg").write_bytes(b"x")
    (tmp_path / "a-link").symlink_to("real")
    (tmp_path / "file.jpg").symlink_to("real/x.jpg")
    (tmp_path / "real" / "up").symlink_to("..")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    (tmp_path / "gone.jpg").symlink_to("nothing.jpg")
    assert names(tmp_path) == {
        "a-link": "duplicate",
        "file.jpg": "",
        "gone.jpg": "source_missing",
        "real/up": "duplicate",
        "real/x.jpg": "",
        "self.jpg": "source_missing",
    }


def test_a_link_to_a_folder_elsewhere_is_walked(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    (outside / "sub").mkdir(parents=True)
    root.mkdir()
    (outside / "sub" / "x.jpg").write_bytes(b"x")
    (root / "b").symlink_to(outside)
    (root / "a").symlink_to(outside)
    assert names(root) == {"a/sub/x.jpg": "", "b": "duplicate"}


def test_special_files_are_not_images(tmp_path, monkeypatch):
    (tmp_path / "x.jpg").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "full.jpg").mkdir()
    (tmp_path / "full.jpg" / "y.jpg").write_bytes(b"y")
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # a socket's path is limited to 107 bytes
        server.bind("s.jpg")
        found = names(tmp_path)
    refused = Reason.NOT_AN_IMAGE.value
    assert found == {"full.jpg/y.jpg": "", "pipe.jpg": refused, "s.jpg": refused, "x.jpg": refused}


def test_a_row_says_what_stands_there_instead_of_a_photograph(tmp_path, pictures, ingest, monkeypatch):
    write(tmp_path, **{"x.jpg": pictures.save(pictures.draw()), "real__y.jpg": b"y"})
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "empty.jpg").mkdir()
    links = {"null.jpg": "/dev/null", "gone.jpg": "nothing", "self.jpg": "self.jpg", "twice": "real"}
    for name, goal in links.items():
        (tmp_path / name).symlink_to(goal)
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)
        server.bind("s.jpg")
        outcomes = ingest(SourceSettings(uri=str(tmp_path), name="s"))
    assert {
        k.removeprefix("s/"): (o.reason, o.detail) for k, o in outcomes.items() if k != "s/real/y.jpg"
    } == {
        "empty.jpg": (Reason.NOT_AN_IMAGE, "an empty folder"),
        "gone.jpg": (Reason.SOURCE_MISSING, "a link that leads nowhere"),
        "null.jpg": (Reason.NOT_AN_IMAGE, "a character device"),
        "pipe.jpg": (Reason.NOT_AN_IMAGE, "a named pipe"),
        "s.jpg": (Reason.NOT_AN_IMAGE, "a socket"),
        "self.jpg": (Reason.SOURCE_MISSING, "a link that leads in a circle"),
        "twice": (Reason.DUPLICATE, "a link to a folder that is listed anyway"),
        "x.jpg": (None, ""),
    }


def test_a_folder_that_cannot_be_read_is_a_row(tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir()
    (tmp_path / "x.jpg").write_bytes(b"x")
    real = os.scandir

    def refuse(path):  # permissions would not test this, since root may read everything
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names(tmp_path) == {"locked": "unreadable", "x.jpg": ""}


def test_a_very_deep_tree_ends_without_a_crash(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 90, dir_fd=descriptor)
        inner = os.open("d" * 90, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    (tmp_path / "x.jpg").write_bytes(b"x")
    found = names(tmp_path)
    assert found.pop("x.jpg") == ""
    ((location, problem),) = found.items()
    assert problem == Reason.BAD_NAME.value or problem == Reason.UNREADABLE.value
    assert len(location) <= 1024


def write(folder, **files):
    for name, data in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


RECORD = {"config": {}, "chain": [], "first_plan": "0" * 12, "build": "ab" * 6, "run": {}}


def test_what_another_build_wrote_is_one_row_and_its_pictures_are_none(tmp_path, pictures, ingest):
    photo = pictures.save(pictures.draw())
    write(
        tmp_path, **{"x.jpg": photo, "by-stage__picture.jpg": photo, "by-record__releases__r__y.jpg": photo}
    )
    write(tmp_path, **{"by-stage__stages__ingest-0123abcd__config.json": b"{}"})
    write(tmp_path, **{f"by-record__builds__{'ab' * 6}.json": seal(RECORD)})
    write(tmp_path, **{"release__gallery__y.jpg": photo})
    write(tmp_path, **{"release__MANIFEST.json": seal({"shards": [], "chain": []})})
    (tmp_path / "link").symlink_to("release")
    outcomes = ingest(SourceSettings(uri=str(tmp_path), name="s"))
    assert {k: (o.reason, o.detail) for k, o in outcomes.items()} == {
        "s/by-record": (Reason.NOT_AN_IMAGE, "a dataset of GroundEdit, left out as a whole"),
        "s/by-stage": (Reason.NOT_AN_IMAGE, "a dataset of GroundEdit, left out as a whole"),
        "s/link": (Reason.DUPLICATE, "a link to a folder that is listed anyway"),
        "s/release": (Reason.NOT_AN_IMAGE, "a release of GroundEdit, left out as a whole"),
        "s/x.jpg": (None, ""),
    }


def test_photographs_beside_another_dataset_in_the_source_itself_are_listed(tmp_path):
    write(
        tmp_path,
        **{"x.jpg": b"x", "stages__ingest-0123abcd__data__00__y.jpg": b"y", "releases__r__z.jpg": b"z"},
    )
    assert names(tmp_path) == {"releases": "not_an_image", "stages": "not_an_image", "x.jpg": ""}


def test_folders_that_only_have_such_names_are_listed(tmp_path):
    write(tmp_path, **{"a__stages__ingest-2019__x.jpg": b"x", "a__builds__house.jpg": b"x"})
    write(tmp_path, **{f"a__builds__{'ab' * 6}.json": b"{}", "b__MANIFEST.json": b"{}", "b__y.jpg": b"y"})
    write(tmp_path, **{"c__index.html": b"<p>album</p>", "c__style.css": b"", "c__z.jpg": b"z"})
    assert set(names(tmp_path).values()) == {""}
    assert len(names(tmp_path)) == 8
