"""The dry run: what was measured in the dataset goes before what is assumed, a pilot's figures included."""

from __future__ import annotations

from pathlib import Path

from flows.build.estimate import estimate
from tests.flows.build.test_plans import opened, run


def test_a_pilot_measures_what_an_input_becomes(tmp_path: Path) -> None:
    pilot = opened(tmp_path, "first")
    ingest, grounding, *_ = estimate(pilot)
    assert (ingest.measured, ingest.open_inputs) == (False, 1)
    assert (grounding.inputs, grounding.known) == (1, False)
    run(pilot, "ingest")
    (tmp_path / "in" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n.")
    ingest, grounding, *_ = estimate(opened(tmp_path, "first"))
    assert (ingest.measured, ingest.open_inputs) == (True, 1)
    assert grounding.inputs == 0, "the pilot's only file was no photograph"


def test_a_stage_that_a_pilot_ran_is_measured_though_its_inputs_are_not_known(tmp_path: Path) -> None:
    pilot = opened(tmp_path, "first")
    for stage in ("ingest", "grounding"):
        run(pilot, stage)
    (tmp_path / "in" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n.")
    lines = {line.stage: line for line in estimate(opened(tmp_path, "first"))}
    assert not lines["grounding"].known
    assert not lines["grounding"].measured, "it had no inputs, so nothing was measured"


def test_without_pools_and_servers_no_gpu_hours_are_told(tmp_path: Path) -> None:
    assert [line.models.roles for line in estimate(opened(tmp_path, "first"))] == [()] * 5


def test_files_beside_photographs_are_not_estimated_as_photographs(tmp_path: Path) -> None:
    build = opened(tmp_path, "first")
    photograph = next((tmp_path / "in").iterdir()).read_bytes()
    for n in range(20):
        (tmp_path / "in" / f"{n}.jpg").write_bytes(photograph)
        (tmp_path / "in" / f"{n}.json").write_bytes(b"{}")
        (tmp_path / "in" / f"._{n}.jpg").write_bytes(b"\x00\x05\x16\x07")
        (tmp_path / "in" / f"empty{n}.jpg").write_bytes(b"")
    ingest, grounding, *_ = estimate(build)
    assert (ingest.inputs, grounding.inputs) == (81, 21)
