"""Runs a stage on one input and returns exactly one outcome.

An error tied to the sample becomes a rejected or failed outcome; environment errors propagate.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Collection
from dataclasses import replace

from tasks.records.codec import encode_record
from tasks.records.errors import (
    ConfigurationError,
    DataFault,
    EnvironmentFault,
    Reason,
    SampleError,
    StageStopped,
)
from tasks.records.outcomes import Outcome, StageInput, ended
from tasks.roles.replicas import trouble_of
from tasks.stages.sample_stage import SampleStage, Workbench

PROPAGATED = (EnvironmentFault, DataFault, ConfigurationError, StageStopped)
"""Errors that abort the unit without committing; all others are attributed to the individual sample."""

OF_THE_MACHINE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}
)
"""What the operating system refuses whatever the sample: no room, no handles, no memory, a broken disk."""

log = logging.getLogger(__name__)


async def outcome_of(
    stage: SampleStage, item: StageInput, bench: Workbench, answers: Collection[str] = ()
) -> Outcome:
    """The outcome of one input, with the kept answers it depends on (``answers`` is read after the stage has run).

    Raises:
        EnvironmentFault, DataFault, ConfigurationError, StageStopped: as the stage raised them.
    """
    try:
        outcome = _checked(item, await stage(item, bench))
    except PROPAGATED:
        raise
    except SampleError as error:
        outcome = ended(item.id, error)
    except Exception as error:
        if (trouble := trouble_of(error)) is not None:
            raise trouble from error
        if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
            raise EnvironmentFault(f"{item.id}: {error.strerror}") from error
        log.warning("%s crashed", item.id, exc_info=error)
        # Only the class name: messages may hold addresses or paths, and rows must be the same everywhere.
        outcome = Outcome(input_id=item.id, reason=Reason.CRASHED, detail=type(error).__name__)
    keys = tuple(sorted(answers))
    children = tuple(replace(child, answers=keys) for child in outcome.children)
    return replace(outcome, children=children, answers=keys)


def _checked(item: StageInput, outcome: Outcome) -> Outcome:
    if outcome.input_id != item.id:
        msg = f"outcome {outcome.input_id!r}: expected the outcome of {item.id!r}"
        raise ValueError(msg)
    if len({child.id for child in outcome.children}) != len(outcome.children):
        msg = f"{item.id}: two children share an id"
        raise ValueError(msg)
    for child in outcome.children:
        if child.record is not None:
            encode_record(child.record)  # a number that JSON cannot represent counts against this sample
    return outcome
