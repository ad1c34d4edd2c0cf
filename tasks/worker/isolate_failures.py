"""One outcome an input, whatever a stage raises: what breaks alone is a row, what surrounds it is no outcome."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import cv2

from tasks.records.codec import encode_record
from tasks.records.errors import (
    ConfigurationError,
    DataFault,
    EnvironmentFault,
    OutOfMemory,
    Reason,
    SampleError,
    StageStopped,
)
from tasks.records.outcomes import Outcome, PixelReader, Stage, StageInput, ended

LEAVES = (EnvironmentFault, DataFault, ConfigurationError, StageStopped)
"""What ends a unit without a commit; everything else is pinned to a sample."""


@runtime_checkable
class UnitAware(Protocol):
    """A stage with a planner of its own, whose units say more than their members (publish: the shard)."""

    def for_unit(self, extra: Mapping[str, str]) -> Stage:
        """The stage for one unit."""
        ...


log = logging.getLogger(__name__)


def stage_for(stage: Stage, extra: Mapping[str, str]) -> Stage:
    """The stage as it is to work on a unit with this ``extra``."""
    return stage.for_unit(extra) if isinstance(stage, UnitAware) else stage


def answer(stage: Stage, inputs: Sequence[StageInput], pixels: PixelReader) -> list[Outcome]:
    """One outcome an input, in order, whatever the stage raises about single samples.

    Raises:
        EnvironmentFault, DataFault, ConfigurationError, StageStopped: as the stage raised them.
    """
    try:
        return _checked(inputs, stage.process(inputs, pixels))
    except LEAVES:
        raise
    except MemoryError as error:
        raise OutOfMemory(str(error) or "while processing a unit") from error
    except Exception as error:  # any other one is pinned to a sample by trying them one by one
        _raise_if_memory(error)
        log.debug("a unit raised; its %d inputs are tried one by one", len(inputs), exc_info=True)
        if len(inputs) == 1:
            return [_ended(inputs[0], error)]
    return [outcome for item in inputs for outcome in answer(stage, [item], pixels)]


def _checked(inputs: Sequence[StageInput], outcomes: Sequence[Outcome]) -> list[Outcome]:
    if [o.input_id for o in outcomes] != [i.id for i in inputs]:
        msg = "the stage's outcomes don't fit its inputs"
        raise ValueError(msg)
    for outcome in outcomes:
        if len({child.id for child in outcome.children}) != len(outcome.children):
            msg = f"{outcome.input_id}: two children share an id"
            raise ValueError(msg)
        for child in outcome.children:
            if child.record is not None:
                encode_record(
                    child.record
                )  # a number that JSON can't hold is this sample's fault, not the unit's
    return list(outcomes)


def _ended(item: StageInput, error: Exception) -> Outcome:
    if isinstance(error, SampleError):
        return ended(item.id, error)
    log.warning("%s crashed", item.id, exc_info=error)
    # The class alone: messages may hold addresses or paths, and rows must be the same everywhere.
    return Outcome(input_id=item.id, reason=Reason.CRASHED, detail=type(error).__name__)


def _raise_if_memory(error: Exception) -> None:
    if isinstance(error, cv2.error) and getattr(error, "code", 0) == cv2.Error.STS_NO_MEM:
        raise OutOfMemory("OpenCV, while processing a unit") from error
