"""A dataset of version 0.1.0: every command reads it, and building leaves it unchanged."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from flows.build.plans import open_build
from flows.build.pool_in_process import InProcessPool
from flows.build.progress import Progress
from flows.build.request import BuildRequest, resolve
from flows.build.stage_runner import run_stage
from flows.cli.main import main
from tasks.publishing.shard_format import iterate_release
from tasks.records.records import SCHEMA_VERSION
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.builds import build_plans, list_builds
from tasks.storage.protocol.commits import read_rows
from tasks.storage.protocol.stage_end import plan_commits
from tasks.storage.reports.auditing import verify

ARCHIVE = Path(__file__).parents[2] / "data" / "dataset-0.1.0" / "dataset.tar.xz"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVE) as tar:
        tar.extractall(folder, filter="data")
    return folder


@pytest.fixture
def old(unpacked, tmp_path, monkeypatch):
    """A copy whose folders ``dataset`` and ``photographs`` are in the working directory, as when it was made."""
    shutil.copytree(unpacked, tmp_path / "w")
    monkeypatch.chdir(tmp_path / "w")
    return tmp_path / "w" / "dataset"


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def run(capsys, *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_verify_finds_no_fault_in_it_and_every_damage(old, capsys):
    before = digests(old)
    assert "0 faults" in run(capsys, "verify", "dataset")
    assert "0 faults" in run(capsys, "verify", "dataset", "--deep")
    assert digests(old) == before
    store = open_store(str(old))
    for file in (p for p in sorted(old.rglob("*")) if p.suffix in (".parquet", ".tar", ".json")):
        whole = file.read_bytes()
        file.write_bytes(whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:])
        faults = [fault.path for fault in verify(store, deep=True).faults]
        assert file.relative_to(old).as_posix() in faults
        file.write_bytes(whole)


def test_status_counts_its_reasons_under_the_names_of_today(old, capsys):
    told = json.loads(run(capsys, "status", "dataset", "--json"))
    reasons = {line["stage"]: dict(line["reasons"]) for line in told["funnel"]}
    assert reasons["editing"] == {"entangled": 1, "low_accuracy": 1, "wrong_color": 1}
    assert reasons["ingest"] == {"not_an_image": 1, "source_missing": 1, "truncated": 1}
    assert "wrong_color 1" in run(capsys, "status", "dataset").replace("wrong color", "wrong_color")


def test_show_tells_every_step_with_the_numbers_of_a_refusal(old, capsys):
    store = open_store(str(old))
    plans = build_plans(store, list_builds(store)[0])
    rows = [row for commit in plan_commits(store, plans[3]) for row in read_rows(store, commit)]
    (wrong,) = [row for row in rows if row.reason == "wrong_color"]
    assert [(m.name, m.low, m.passed) for m in wrong.measured] == [("asked_color_share", 1.0, False)]
    assert wrong.detail == ""
    text = run(capsys, "show", "dataset", wrong.id)
    assert "wrong_color asked_color_share" in text
    assert "(at least 1)" in text
    steps = json.loads(run(capsys, "show", "dataset", wrong.id, "--json"))
    assert {step["stage"] for step in steps} == {"ingest", "grounding", "instruction", "editing"}


def test_every_record_in_it_is_read(old):
    store = open_store(str(old))
    found = set()
    for plan in build_plans(store, list_builds(store)[0]):
        for commit in plan_commits(store, plan):
            rows = read_rows(store, commit)
            found |= {type(row.decoded()).__name__ for row in rows if row.record}
            assert {(row.schema_version, row.answers) for row in rows} == {(1, ())}
    assert found == {"SourceImage", "GroundedTarget", "EditPlan", "EditedSample"}


def test_the_gallery_shows_it_with_bounds_in_words(old, capsys, tmp_path):
    before = digests(old)
    run(capsys, "gallery", "dataset", "--rejected", "--to", str(tmp_path / "g"))
    refused = (tmp_path / "g" / "rejected-editing-wrong-color-1.html").read_text()
    assert "share of the target in the asked color" in refused
    assert "at least 1" in refused
    assert (
        "none of which qualifies as a target"
        in (tmp_path / "g" / "rejected-grounding-no-target-1.html").read_text()
    )
    accepted = "".join(path.read_text() for path in (tmp_path / "g").glob("accepted-*.html"))
    assert accepted.count('<article class="card"') == 3
    assert ">=" not in accepted
    assert digests(old) == before


def test_the_reader_of_shards_gives_its_samples_in_the_shape_of_today(old):
    (release,) = [path for path in (old / "releases").iterdir() if path.is_dir()]
    samples = list(iterate_release(str(release)))
    assert len(samples) == 3
    for sample in samples:
        meta = sample.meta
        assert meta.schema_version == SCHEMA_VERSION
        assert meta.license.startswith("unstated")
        assert {gate.low for gate in meta.gates if gate.name == "edit_types_allowed"} == {(1.0,)}
        assert all(gate.passed for gate in meta.gates)
        (ranged,) = {check.bounds for check in meta.objects[0].checks if check.name == "area_share"}
        assert None not in ranged
        assert meta.scores[0].bounds == (4.0, None)
        noted = [gate for gate in meta.gates if gate.name.startswith("accuracy_")]
        assert noted
        assert not any(gate.decides for gate in noted)


def test_training_reads_it(old):
    shards = pytest.importorskip("intercog_model.data.shards")
    (release,) = [path for path in (old / "releases").iterdir() if path.is_dir()]
    found = []
    for name in shards.release_shards(str(release)):
        with shards.open_uri(name) as stream:
            found += list(shards.read_shard(stream, "grounding"))
    assert {type(example).__name__ for example in found} == {"GroundingExample"}


def test_repair_leaves_it_alone_and_sets_aside_what_depends_on_a_damaged_file(old, capsys):
    before = digests(old)
    assert "nothing is damaged" in run(capsys, "repair", "dataset")
    assert digests(old) == before
    (card,) = old.glob("releases/*/README.md")
    card.write_text("smudged")
    told = run(capsys, "repair", "dataset")
    assert "/README.md" in told
    assert "/MANIFEST.json" in told
    assert verify(open_store(str(old)), deep=True).faults == []


BUILD = ("--source", "photographs", "--set", "execution.pool=in-process", "--out", "dataset")


def test_plan_says_that_its_stages_are_left_as_they_are(old, capsys):
    before = digests(old)
    assert main(["plan", *BUILD]) == 0
    told = capsys.readouterr()
    assert "stages of an earlier version are left unchanged: editing-" in told.err + told.out
    assert digests(old) == before


def test_building_on_begins_a_chain_beside_the_old_one(old):
    before = digests(old)
    assignments = ("execution.pool=in-process", "execution.prefect=false")
    request = BuildRequest(source=("photographs",), out="dataset", assignments=assignments)
    build = open_build(resolve(request)[0])
    run_stage(build, "ingest", InProcessPool(), Progress(quiet=True))
    after = digests(old)
    assert {path: after[path] for path in before} == before
    assert len([p for p in (old / "stages").iterdir() if p.name.startswith("ingest-")]) == 2
    assert verify(open_store(str(old)), deep=True).faults == []
