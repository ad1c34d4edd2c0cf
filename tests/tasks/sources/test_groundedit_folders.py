"""Detecting GroundEdit's own folders, in a local folder and among the objects of a store."""

from __future__ import annotations

import pytest

from tasks.records.canonical import seal
from tasks.sources.groundedit_folders import folder_around, groundedit_folders
from tasks.storage.objects.store import open_store

MANIFEST = seal({"shards": [], "chain": []})
RECORD = seal({"config": {}, "chain": [], "first_plan": "0" * 12, "build": "ab" * 6, "run": {}})
PAGE = b'<html><nav class="chips" aria-label="Accepted samples">'


def found(tmp_path, **files):
    store = open_store(str(tmp_path))
    for name, data in files.items():
        store.put(name, data)
    return groundedit_folders(store, [info.path for info in store.list()])


def test_the_outermost_folder_counts_and_each_kind_is_reported(tmp_path):
    files = {
        "a/b/stages/ingest-0123abcd/config.json": b"{}",
        "a/b/releases/r/MANIFEST.json": MANIFEST,
        f"c/builds/{'ab' * 6}.json": RECORD,
        "d/MANIFEST.json": MANIFEST,
        "d/gallery/index.html": PAGE,
        "d/gallery/style.css": b"",
        "e/index.html": PAGE,
        "e/style.css": b"",
    }
    assert found(tmp_path, **files) == {
        "a/b": "a dataset",
        "c": "a dataset",
        "d": "a release",
        "e": "a gallery",
    }


def test_names_alone_prove_nothing(tmp_path):
    files = {
        "a/stages/ingest-2019/x.jpg": b"x",
        f"a/builds/{'ab' * 6}.json": b"{}",
        "b/MANIFEST.json": b"{}",
        "c/index.html": b"<p>album</p>",
        "c/style.css": b"",
        "d/index.html": PAGE,
    }
    assert found(tmp_path, **files) == {}


def test_parts_of_a_dataset_that_is_the_store_are_reported_and_a_release_as_a_whole_is_listed(tmp_path):
    files = {"x.jpg": b"x", "stages/ingest-0123abcd/config.json": b"{}", "releases/r/MANIFEST.json": MANIFEST}
    parts = found(tmp_path / "one", **files)
    names = {"answers", "aside", "builds", "logs", "releases", "runs", "stages"}
    assert parts == dict.fromkeys(names, "part of a dataset")
    files = {"MANIFEST.json": MANIFEST, "gallery/index.html": PAGE, "gallery/style.css": b""}
    assert found(tmp_path / "two", **files) == {"gallery": "a gallery"}


@pytest.mark.parametrize(
    ("path", "folder"), [("a/b/x.jpg", "a/b"), ("a/b", "a/b"), ("a/bc/x.jpg", ""), ("a", ""), ("x", "")]
)
def test_a_path_lies_in_a_folder_not_beside_one_of_a_like_name(path, folder):
    assert folder_around(path, {"a/b": "a dataset"}) == folder
