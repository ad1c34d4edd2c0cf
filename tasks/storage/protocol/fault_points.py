"""Named points at which a test may kill the process; never set outside tests."""

from __future__ import annotations

import os
import signal
from collections import Counter
from enum import StrEnum

VARIABLE = "GROUNDEDIT_FAULT"
"""``point:n`` kills the process at the n-th pass (from 1) of that point. It is read here because it must reach workers
that the test does not configure."""

_passes: Counter[str] = Counter()


class FaultPoint(StrEnum):
    """The steps of the protocol, in order."""

    PLAN_CUT = "plan-cut"
    PLAN_STORED = "plan-stored"
    UNIT_ATTEMPTED = "unit-attempted"
    UNIT_COMPUTED = "unit-computed"
    UNIT_PACKED = "unit-packed"
    TAR_STORED = "tar-stored"
    ROWS_STORED = "rows-stored"
    UNIT_COMMITTED = "unit-committed"
    DECISIONS_STORED = "decisions-stored"
    STAGE_CLOSED = "stage-closed"
    BUILD_RECORDED = "build-recorded"


def pass_point(point: FaultPoint) -> None:
    """Kills the process with SIGKILL if a test requested it; otherwise only reads the environment variable."""
    value = os.environ.get(VARIABLE)
    if value is None:
        return
    name, _, count = value.partition(":")
    if name == point.value:
        _passes[name] += 1
        if _passes[name] == int(count or 1):
            os.kill(os.getpid(), signal.SIGKILL)
