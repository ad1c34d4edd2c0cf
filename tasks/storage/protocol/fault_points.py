"""Named places where a test may kill the process; nothing else ever sets them."""

from __future__ import annotations

import os
import signal
from collections import Counter
from enum import StrEnum

VARIABLE = "GROUNDEDIT_FAULT"
"""``point:n`` kills the process at the n-th pass (from 1) of that point. Read here and not at the edge, since it
has to reach workers that nobody configures."""

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
    """Die by SIGKILL if a test asked for it here; otherwise one look at the environment."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    name, _, count = wanted.partition(":")
    if name == point.value:
        _passes[name] += 1
        if _passes[name] == int(count or 1):
            os.kill(os.getpid(), signal.SIGKILL)
