"""Whether a GPU's memory is free: that of a process that was just killed takes a moment to come back."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Sequence

from tasks.records.errors import ModelUnavailable

WAIT_S = 60.0
POLL_S = 1.0

QUERY = ("--query-gpu=memory.free,memory.total", "--format=csv,noheader,nounits")


async def wait_for_memory(cards: Sequence[str], share: float, *, wait_s: float = WAIT_S) -> None:
    """Returns when each card has ``share`` of its memory free; at once where ``nvidia-smi`` is missing.

    Args:
        cards: as in ``CUDA_VISIBLE_DEVICES``: numbers or names beginning with ``GPU-``.
        share: of a card's memory, 0 to 1.
        wait_s: longest wait.

    Raises:
        ModelUnavailable: the memory is still taken; the message has the numbers in MiB.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None or not cards or not share:
        return
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    while True:
        found = {card: await _memory(tool, card) for card in cards}
        short = {card: (free, total) for card, (free, total) in found.items() if free < share * total}
        if not short:
            return
        if loop.time() >= deadline:
            card, (free, total) = next(iter(short.items()))
            msg = f"GPU {card}: {free} of {total} MiB are free, {share * total:.0f} are needed"
            raise ModelUnavailable(msg)
        await asyncio.sleep(POLL_S)


async def _memory(tool: str, card: str) -> tuple[int, int]:
    """Free and total memory of a card, MiB; (0, 0), which is enough, where the tool says nothing of it."""
    command = [tool, f"--id={card}", *QUERY]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    values = done.stdout.strip().partition("\n")[0].split(",")
    if done.returncode or len(values) != 2 or not all(value.strip().isdigit() for value in values):
        return 0, 0
    return int(values[0]), int(values[1])
