"""Rebuilding from another dataset's answers reports anything that would make the build differ."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from flows.build.answers_only import open_replay, other_libraries
from flows.build.plans import NOT_IDENTITY, draft, exclusion_note, plan
from tasks.records.errors import ConfigurationError
from tasks.stages.config import load_config
from tasks.stages.registry import stage_digests, stage_material
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.builds import write_build
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.planning import entry_inputs, write_stage_config
from tasks.storage.protocol.stage_end import close_stage, decide_duplicates, kept_children
from tests.tasks.storage.drawn_stages import ReadStage, draw_photographs, entries_of, run_plan, stored_plan


@pytest.fixture
def origin(tmp_path):
    """A dataset whose ingest was made by a small stage under the digest of the real one."""
    photographs = tmp_path / "photographs"
    draw_photographs(photographs, 5)
    store = open_store(str(tmp_path / "origin"))
    config = load_config("embedded", arguments={"sources": [{"uri": str(photographs)}], "out": store.uri})
    chain = [StageKey(stage=stage, config8=config8) for stage, config8 in stage_digests(config).items()]
    write_stage_config(store, chain[0], stage_material(config, "ingest"))
    planned = stored_plan(store, chain[0], entry_inputs(entries_of(photographs)), unit_size=2)
    run_plan(store, planned, chain[0], ReadStage(str(photographs)))
    close_stage(store, planned, decide_duplicates)
    content = config.model_dump(mode="json", exclude=set(NOT_IDENTITY))
    write_build(store, content, chain, planned, {})
    for path in photographs.iterdir():
        path.unlink()
    photographs.rmdir()
    return store


def test_ingest_is_taken_over_and_no_photograph_is_looked_for(origin, tmp_path):
    build = open_replay(origin.uri, str(tmp_path / "new"), assignments=["execution.pool=in-process"])
    assert (build.replay, build.origin) == (True, origin.uri)
    assert build.config.execution.pool == "in-process"
    assert exclusion_note(build) == ""
    planned = plan(build, "ingest")
    inputs = list(kept_children(build.store, planned))
    assert len(inputs) == 5
    assert sorted(i for unit in draft(build, "grounding").units for i in unit.members) == sorted(
        item.id for item in inputs
    )


def test_the_new_build_has_the_name_of_the_other(origin, tmp_path):
    build = open_replay(origin.uri, str(tmp_path / "new"))
    plan(build, "ingest")
    assert build.record is not None
    (item,) = [o for o in origin.list("builds") if o.path.count("/") == 1]
    assert item.path == build.record.path


def test_nothing_is_written_into_the_other_dataset(origin, tmp_path):
    before = {(item.path, item.size) for item in origin.list()}
    plan(open_replay(origin.uri, str(tmp_path / "new")), "ingest")
    assert {(item.path, item.size) for item in origin.list()} == before


def test_a_dataset_without_a_build_is_refused_and_not_made(tmp_path):
    with pytest.raises(ConfigurationError, match="holds no build"):
        open_replay(str(tmp_path / "none"), str(tmp_path / "new"))
    assert not (tmp_path / "none").exists()


def test_the_dataset_itself_is_not_a_place_for_the_new_one(origin):
    with pytest.raises(ConfigurationError, match="expected a dataset other than"):
        open_replay(origin.uri, f"{origin.uri}/")


def test_only_execution_may_be_set(origin, tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"not allowed with --answers-only \(available: execution\.…\)"
    ):
        open_replay(origin.uri, str(tmp_path / "new"), assignments=["editing.min_accuracy=2"])


def test_other_code_or_prompts_than_the_other_dataset_had_are_refused(origin, tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.stages.grounding.stage.STEP_VERSIONS", {"scene": 99})
    with pytest.raises(ConfigurationError, match="grounding: version mismatch: this installation"):
        open_replay(origin.uri, str(tmp_path / "new"))


def test_other_libraries_are_refused_unless_they_are_allowed(origin, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "flows.build.answers_only.version", lambda name: "0.1" if name == "numpy" else version(name)
    )
    with pytest.raises(ConfigurationError, match=rf"numpy {version('numpy')} \(here: 0.1\).*--allow-other"):
        open_replay(origin.uri, str(tmp_path / "new"))
    build = open_replay(origin.uri, str(tmp_path / "new"), allow_other_libraries=True)
    assert build.other_libraries == (f"numpy {version('numpy')} (here: 0.1)",)


def test_libraries_are_compared_by_version():
    here = version("numpy")
    assert other_libraries({"numpy": {here}, "python": {"2.7"}}) == []
    assert other_libraries({"numpy": {here, "1.0"}, "no-such-thing": {"3"}}) == [
        "no-such-thing 3 (here: none)",
        f"numpy 1.0, {here} (here: {here})",
    ]
