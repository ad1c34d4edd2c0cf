"""What an exception of a stage becomes: a row of the sample, or the end of the unit."""

from __future__ import annotations

import asyncio
import errno
import os

import pytest

from tasks.records.errors import EnvironmentFault, OutOfMemory, Reason
from tasks.records.outcomes import Outcome, StageInput
from tasks.stages.sample_stage import Workbench
from tasks.worker.isolate_failures import outcome_of

OF_THE_MACHINE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EIO,
)

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


@pytest.mark.parametrize("number", OF_THE_MACHINE)
def test_what_the_machine_has_no_room_for_is_nobody_s_fault(number: int) -> None:
    with pytest.raises(EnvironmentFault, match=os.strerror(number)):
        outcome(OSError(number, os.strerror(number), "/tmp/x"))


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.EINVAL])
def test_another_refusal_of_the_system_is_the_row_of_its_sample(number: int) -> None:
    assert outcome(OSError(number, os.strerror(number))).reason == Reason.CRASHED
