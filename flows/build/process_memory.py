"""Peak memory of this process while a block of code runs."""

from __future__ import annotations

import resource
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

STATM = Path("/proc/self/statm")

EVERY_S = 0.02


class MemoryPeak:
    """Measures by how many bytes the resident memory of this process rises inside the ``with`` block.

    On Linux it is sampled. Elsewhere only the peak of the whole process is available, so a rise below an earlier peak
    counts as nothing.
    """

    def __init__(self) -> None:
        self.grown = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="memory-peak", daemon=True)

    def __enter__(self) -> Self:
        self._before = resident_bytes()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def _sample(self) -> None:
        while not self._over.wait(EVERY_S):
            self._look()

    def _look(self) -> None:
        self.grown = max(self.grown, resident_bytes() - self._before)


def resident_bytes() -> int:
    """Resident memory of this process; its peak so far where the current value is not available."""
    if STATM.exists():
        return int(STATM.read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def gpu_peak_bytes() -> int | None:
    """Peak memory of tensors on the first GPU since the last call; None without torch or a GPU."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    peak = int(torch.cuda.max_memory_allocated())
    torch.cuda.reset_peak_memory_stats()
    return peak
