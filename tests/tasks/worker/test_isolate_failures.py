"""What an exception of a stage becomes: a row of the sample, or the end of the unit."""

from __future__ import annotations

import asyncio

import pytest

from tasks.records.errors import EnvironmentFault, OutOfMemory, Reason
from tasks.records.outcomes import Outcome, StageInput
from tasks.stages.sample_stage import Workbench
from tasks.worker.isolate_failures import outcome_of

ITEM = StageInput(id="a", record=None, blobs={})


def outcome(error: Exception) -> Outcome:
    async def stage(item: StageInput, bench: Workbench) -> Outcome:
        raise error

    return asyncio.run(outcome_of(stage, ITEM, None))


def test_a_mistake_of_the_code_is_the_row_of_its_sample() -> None:
    found = outcome(ValueError("at 0x7f00"))
    assert (found.reason, found.detail) == (Reason.CRASHED, "ValueError")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), OutOfMemory),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), OutOfMemory),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), EnvironmentFault),
    ],
)
def test_trouble_of_the_machine_blames_no_sample(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        outcome(error)
