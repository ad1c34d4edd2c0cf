"""Memory used by a step."""

from __future__ import annotations

import numpy as np

from flows.build.process_memory import MemoryPeak, resident_bytes


def test_memory_that_was_taken_and_given_back_is_measured() -> None:
    assert resident_bytes() > 1 << 20
    with MemoryPeak() as memory:
        taken = np.ones(64 << 20, np.uint8)
        memory._look()
        del taken
    assert memory.grown > 32 << 20
