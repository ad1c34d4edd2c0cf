"""The finished release: complete, readable by other readers, and independent of how it was made."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
import webdataset
from PIL import Image

from tasks.imaging.geometry import from_rle
from tasks.publishing.find_release import find_release
from tasks.publishing.shard_format import MEMBERS, iterate_release, read_sample
from tasks.records.canonical import sha256_hex
from tasks.records.errors import DataFault
from tasks.records.records import Rle
from tasks.storage.objects.store import open_store
from tasks.storage.reports.auditing import verify


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def test_the_manifest_names_every_file_with_its_digest(released):
    folder, manifest = released
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    found -= {"MANIFEST.json", "RUN.json"}
    assert found == {item["name"] for item in manifest["files"]}
    for item in manifest["files"]:
        assert sha256_hex((folder / item["name"]).read_bytes()) == item["sha256"]


def test_plain_webdataset_reads_every_sample_with_five_members(released):
    folder, manifest = released
    shards = [str(folder / shard["name"]) for shard in manifest["shards"]]
    samples = list(webdataset.WebDataset(shards, shardshuffle=False))
    assert len(samples) == 11
    for sample in samples:
        assert {name for name in sample if not name.startswith("__")} == set(MEMBERS)
        assert read_sample(sample["__key__"], sample).meta.key == sample["__key__"]


def test_webdataset_decodes_pictures_of_one_size(released):
    folder, manifest = released
    shards = [str(folder / shard["name"]) for shard in manifest["shards"]]
    for sample in webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8"):
        assert sample["source.jpg"].shape == sample["edited.png"].shape == sample["grounded.jpg"].shape
        assert sample["json"]["source"]["width"] == sample["source.jpg"].shape[1]


def test_hugging_face_datasets_read_both_splits_by_the_card(released, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    folder, manifest = released
    by_files = datasets.load_dataset(
        "webdataset",
        data_files={"train": str(folder / "train-*.tar"), "validation": str(folder / "validation-*.tar")},
        cache_dir=str(tmp_path / "one"),
    )
    by_card = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "two"))
    for loaded in (by_files, by_card):
        assert {name: len(part) for name, part in loaded.items()} == manifest["samples"]
        kinds = {row["json"]["edit_type"] for part in loaded.values() for row in part}
        assert kinds == {"Color", "Remove"}
        first = loaded["train"][0]
        assert first["edited.png"].size == (
            first["json"]["source"]["width"],
            first["json"]["source"]["height"],
        )
        assert first["json"]["CoT"]["1_Scene_Description"]


def test_duckdb_finds_a_sample_in_the_index_and_its_bytes_in_the_shard(released):
    folder, _ = released
    query = f"SELECT key, shard, split, unnest(members, recursive := true) FROM '{folder}/index.parquet'"
    rows = duckdb.sql(query).fetchall()
    assert len(rows) == 11 * len(MEMBERS)
    for _, shard, split, _, offset, size, sha in rows:
        data = (folder / shard).read_bytes()[offset : offset + size]
        assert sha256_hex(data) == sha
        assert shard.startswith(split)


def test_our_reader_yields_all_splits_or_one(released):
    folder, manifest = released
    assert sum(1 for _ in iterate_release(str(folder))) == 11
    for split, count in manifest["samples"].items():
        found = list(iterate_release(folder.as_uri(), split))
        assert len(found) == count
        assert {sample.meta.split for sample in found} == {split}


def test_a_release_cut_off_at_any_file_is_unfinished_and_one_whose_manifest_was_lost_is_damaged(
    built, released, drawn, tmp_path, monkeypatch
):
    folder, manifest = released
    store, plans = built
    copied = open_store(str(shutil.copytree(store.folder, tmp_path / "out")))
    name = f"releases/{folder.name}"
    there = Path(copied.folder / name)
    shutil.rmtree(there)
    there.with_name(f"{folder.name}.json").unlink()
    seen = []

    def before(put):
        def cut_off(path, data):
            audit = verify(copied, deep=False)
            assert not any(fault.path.startswith("releases/") for fault in audit.faults), path
            notes = [note.path for note in audit.notes if note.path.startswith("releases/")]
            assert notes == ([name] if seen and path != f"{name}.json" else []), path
            seen.append(path)
            return put(copied, path, data)

        return cut_off

    for put in ("put", "put_if_absent"):
        monkeypatch.setattr(copied, put, before(getattr(type(copied), put)))
    drawn.finish(copied, plans, "build-1")
    assert seen[-3:] == [f"{name}/RUN.json", f"{name}/MANIFEST.json", f"{name}.json"]
    assert len(seen) == len(manifest["files"]) + 3
    (there / "MANIFEST.json").unlink()
    faults = [fault.path for fault in verify(copied, deep=False).faults]
    assert f"{name}/MANIFEST.json" in faults


def test_a_build_killed_before_it_noted_its_release_finished_leaves_that_to_the_next(
    built, released, drawn, tmp_path
):
    store, plans = built
    copied = open_store(str(shutil.copytree(store.folder, tmp_path / "out")))
    note = f"releases/{released[0].name}.json"
    data = copied.get(note)
    copied.delete(note)
    drawn.finish(copied, plans, "build-1")
    assert copied.get(note) == data


def test_a_folder_without_a_manifest_is_not_a_release(tmp_path):
    with pytest.raises(DataFault, match="no finished release"):
        list(iterate_release(str(tmp_path)))


def test_pixels_outside_the_allowed_region_are_the_sources(released):
    folder, _ = released
    for sample in iterate_release(str(folder)):
        region = sample.meta.allowed_region
        allowed = from_rle(Rle(height=region.size[0], width=region.size[1], counts=region.counts))
        differs = (pixels(sample.source_jpg) != pixels(sample.edited_png)).any(axis=2)
        assert not (differs & ~allowed).any()
        assert (differs & allowed).any()


def test_pictures_are_copied_and_not_encoded_again(released, drawn):
    folder, _ = released
    for sample in iterate_release(str(folder)):
        image = drawn.source_image(sample.meta.source.location)
        assert sha256_hex(sample.source_jpg) == image.working_sha256 == sample.meta.source.working_sha256
        assert set(np.unique(pixels(sample.mask_png))) == {0, 255}


def test_odd_locations_arrive_unchanged(released, drawn):
    folder, _ = released
    assert drawn.ODD in {sample.meta.source.location for sample in iterate_release(str(folder))}


def test_tar_members_carry_no_time_owner_or_odd_mode(released):
    folder, manifest = released
    with tarfile.open(folder / manifest["shards"][0]["name"]) as tar:
        entries = tar.getmembers()
    assert {(e.mtime, e.uid, e.gid, e.mode, e.uname, e.gname) for e in entries} == {(0, 0, 0, 0o644, "", "")}
    names = [entry.name.partition(".")[2] for entry in entries]
    assert names == list(MEMBERS) * (len(entries) // len(MEMBERS))


@pytest.mark.parametrize("unit_size", [3, 5])
def test_other_order_and_units_give_the_same_files(released, drawn, tmp_path, unit_size):
    folder, manifest = released
    store = open_store(str(tmp_path))
    plans = drawn.build_up_to_editing(store, drawn.LOCATIONS[::-1], unit_size=unit_size)
    plans = drawn.publish(store, plans, drawn.SETTINGS)
    again = drawn.finish(store, plans, "build-1")
    assert again.folder.endswith(folder.name)
    assert again.manifest == manifest


def test_the_manifest_has_the_same_bytes_whoever_published_when_and_in_which_units(
    released, drawn, tmp_path, monkeypatch
):
    folder, _ = released
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    store = open_store(str(tmp_path))
    plans = drawn.build_up_to_editing(store, drawn.LOCATIONS[::-1], unit_size=2, version="touched")
    again = drawn.finish(store, drawn.publish(store, plans, drawn.SETTINGS), "another build")
    there = tmp_path / again.folder
    assert there.name == folder.name
    assert (there / "MANIFEST.json").read_bytes() == (folder / "MANIFEST.json").read_bytes()
    runs = [json.loads((place / "RUN.json").read_bytes()) for place in (there, folder)]
    assert [run["build"] for run in runs] == ["another build", "build-1"]
    assert runs[0]["chain"][0]["plan"] != runs[1]["chain"][0]["plan"]


def test_a_lost_or_changed_run_file_is_a_fault(built, released, tmp_path):
    copied = open_store(str(shutil.copytree(built[0].folder, tmp_path / "out")))
    run = f"releases/{released[0].name}/RUN.json"
    whole = copied.get(run)
    assert run not in {f.path for f in verify(copied, deep=False).faults}
    copied.put(run, whole.replace(b"build-1", b"build-2"))
    assert run in {f.path for f in verify(copied, deep=False).faults}
    copied.delete(run)
    assert run in {f.path for f in verify(copied, deep=False).faults}


def test_a_finished_release_is_left_alone(released, built, drawn):
    folder, manifest = released
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    store, plans = built
    assert find_release(store, plans, drawn.RELEASE).manifest == manifest
    assert find_release(store, plans, replace(drawn.RELEASE, name="other")) is None
    again = drawn.finish(store, plans, "another")
    assert again.manifest == manifest
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*")}


def test_a_release_that_died_before_its_manifest_is_completed_with_the_same_bytes(built, drawn, tmp_path):
    store, plans = built
    other = open_store(str(tmp_path / "copy"))
    shutil.copytree(store.folder, other.folder, dirs_exist_ok=True)
    shutil.rmtree(other.folder / "releases", ignore_errors=True)
    whole = drawn.finish(other, plans, "b")
    folder = other.folder / whole.folder
    before = {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "RUN.json"
    }
    (folder / "MANIFEST.json").unlink()
    (folder / "README.md").write_text("half a")
    (folder / whole.manifest["shards"][1]["name"]).unlink()
    again = drawn.finish(other, plans, "b")
    assert again == whole
    assert {path: path.read_bytes() for path in before} == before


def test_a_shard_damaged_in_the_stage_does_not_reach_a_release(built, drawn, tmp_path):
    store, plans = built
    other = open_store(str(tmp_path / "copy"))
    shutil.copytree(store.folder, other.folder, dirs_exist_ok=True)
    shutil.rmtree(other.folder / "releases", ignore_errors=True)
    tar = sorted((other.folder / plans[-1].key.folder / "data").rglob("*.tar"))[0]
    data = bytearray(tar.read_bytes())
    data[-2000] ^= 1
    tar.write_bytes(data)
    with pytest.raises(DataFault, match=tar.name):
        drawn.finish(other, plans, "b")


def test_an_open_stage_gives_no_release(built, drawn, tmp_path):
    store = open_store(str(tmp_path))
    plans = drawn.build_up_to_editing(store, drawn.LOCATIONS[:2])
    with pytest.raises(DataFault, match="publish: not finished"):
        drawn.finish(store, [*plans, built[1][-1]])


def test_other_rejects_make_another_release_of_the_same_samples(released, drawn, tmp_path):
    _, manifest = released
    store = open_store(str(tmp_path))
    plans = drawn.build_up_to_editing(store, [*drawn.LOCATIONS, "shots/bad too.jpg"])
    release = drawn.finish(store, drawn.publish(store, plans, drawn.SETTINGS))
    assert [s["sha256"] for s in release.manifest["shards"]] == [s["sha256"] for s in manifest["shards"]]
    assert Path(release.folder).name != released[0].name
