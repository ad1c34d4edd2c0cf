"""One line per step to the terminal and to log.jsonl, and the same numbers to TensorBoard and Weights & Biases."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from intercog_model.training.wandb_run import WandbRun


class StepLog:
    """Writes on rank 0 only; lines of steps that a resumed run repeats are cut off first.

    Args:
        folder: of the run.
        resumed_step: the step that it goes on after.
        wandb: where the numbers go besides, if anywhere.
    """

    def __init__(self, folder: Path, resumed_step: int, wandb: WandbRun | None = None) -> None:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - slow to import, only for runs

        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "log.jsonl"
        keep_lines(self.path, resumed_step)
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=resumed_step + 1)
        self.wandb = wandb

    def close(self) -> None:
        """End the thread that writes for TensorBoard; all is on disk then, and sent where it goes elsewhere."""
        self.board.close()
        if self.wandb:
            self.wandb.close()

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Append one step; numbers go to all places, lists and texts to the file alone.

        `reasons`, why samples were left out by key, are told on the terminal too, a line for each.
        """
        numbers = {k: v for k, v in values.items() if isinstance(v, int | float)}
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        self.show(step, numbers)
        for key, reason in values.get("reasons", {}).items():
            print(f"{key}: left out, {reason}")
        print(
            f"step {step}  " + "  ".join(f"{name} {value:.5g}" for name, value in numbers.items()), flush=True
        )

    def show(
        self, step: int, numbers: dict[str, float], pictures: dict[str, Image.Image] | None = None
    ) -> None:
        """Numbers and pictures by name, to TensorBoard and Weights & Biases."""
        for name, value in numbers.items():
            self.board.add_scalar(name, value, step)
        for name, picture in (pictures or {}).items():
            self.board.add_image(name, np.asarray(picture), step, dataformats="HWC")
        self.board.flush()
        if self.wandb:
            self.wandb.add(step, numbers, pictures)


def keep_lines(path: Path, step: int) -> None:
    """Cut off what a file of JSON lines has of steps after `step`."""
    if path.exists():
        lines = [line for line in path.read_bytes().splitlines(keepends=True) if _step(line) <= step]
        # renamed into place when whole: a kill in between leaves the old log, not a part of it
        temporary = path.with_suffix(".part")
        temporary.write_bytes(b"".join(lines))
        temporary.replace(path)


def _step(line: bytes) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError):  # a line cut short by a kill, or none of ours
        return 2**62
