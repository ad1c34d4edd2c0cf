"""A sample names the libraries of the processes that committed its units, and of no other process."""

from __future__ import annotations

import json

import pytest

from tasks.publishing.sample_libraries import libraries_of_samples, read_extra, write_extra
from tasks.publishing.shard_format import iterate_release
from tasks.records.errors import DataFault
from tasks.storage.objects.store import open_store
from tasks.worker import run_unit


def test_a_released_sample_names_what_its_commits_recorded(released, built):
    store, plans = built
    recorded = libraries_of_samples(store, plans[:4])
    for sample in iterate_release(str(released[0])):
        named = tuple((item.name, item.version) for item in sample.meta.provenance.libraries)
        assert named == recorded(sample.meta.key)
        assert {"numpy", "python"} <= {name for name, _ in named}


def test_libraries_of_the_publishing_process_are_not_named(drawn, tmp_path, monkeypatch):
    store = open_store(str(tmp_path))
    monkeypatch.setattr(run_unit, "library_versions", lambda: {"numpy": "1.0"})
    plans = drawn.build_up_to_editing(store, drawn.LOCATIONS[:3])
    monkeypatch.setattr(run_unit, "library_versions", lambda: {"numpy": "2.0"})
    plans = drawn.publish(store, plans, drawn.SETTINGS)
    release = drawn.finish(store, plans)
    for sample in iterate_release(str(tmp_path / release.folder)):
        assert [(item.name, item.version) for item in sample.meta.provenance.libraries] == [("numpy", "1.0")]


def test_a_sample_names_both_versions_of_a_library_and_its_neighbor_only_its_own(
    drawn, tmp_path, monkeypatch
):
    mixed = drawn.sid(drawn.LOCATIONS[1])
    plain_run = run_unit.Worker.run

    def run(worker, unit, **options):
        newer = worker.key.stage == "editing" and any(m.startswith(mixed) for m in unit.members)
        worker._libraries = {"numpy": "2" if newer else "1"}
        return plain_run(worker, unit, **options)

    monkeypatch.setattr(run_unit.Worker, "run", run)
    store = open_store(str(tmp_path))
    plans = drawn.build_up_to_editing(store, drawn.LOCATIONS[:3], unit_size=1)
    plans = drawn.publish(store, plans, drawn.SETTINGS)
    named = {
        sample.meta.sid: [item.version for item in sample.meta.provenance.libraries]
        for sample in iterate_release(str(tmp_path / drawn.finish(store, plans).folder))
    }
    assert named == {
        drawn.sid(location): ["1", "2"] if drawn.sid(location) == mixed else ["1"]
        for location in drawn.LOCATIONS[:3]
    }
    with pytest.raises(DataFault, match="no unit"):
        libraries_of_samples(store, plans[:4])("zzz-t0-p0")


def test_libraries_in_a_unit_are_read_back_per_sample():
    table = {"a-t0-p0": (("numpy", "1"),), "b-t0-p0": (("numpy", "1"),), "c-t0-p0": (("numpy", "2"),)}
    extra = write_extra(list(table), table.__getitem__)
    assert {key: read_extra(extra, key) for key in table} == table
    assert len(extra) == 2
    assert all(json.loads(value) for value in extra.values())


def test_a_unit_planned_by_an_earlier_version_names_none():
    assert read_extra({"shard": "train-000000.tar"}, "a-t0-p0") == ()
