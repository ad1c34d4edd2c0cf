"""One line per step to the terminal and to log.jsonl, and the same numbers to TensorBoard."""

import json
from pathlib import Path
from typing import Any

from intercog_model.config import BagelConfig


class StepLog:
    """Writes on rank 0 only; lines of steps that a resumed run repeats are cut off first."""

    def __init__(self, folder: Path, resumed_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - slow to import, only for runs

        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "log.jsonl"
        keep_lines(self.path, resumed_step)
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=resumed_step + 1)

    def close(self) -> None:
        """End the thread that writes for TensorBoard; all is on disk then."""
        self.board.close()

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Append one step; numbers go to all three places, lists and texts to the file alone.

        `reasons`, why samples were left out by key, are told on the terminal too, a line for each.
        """
        numbers = {k: v for k, v in values.items() if isinstance(v, int | float)}
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in numbers.items():
            self.board.add_scalar(name, value, step)
        self.board.flush()
        for key, reason in values.get("reasons", {}).items():
            print(f"{key}: left out, {reason}")
        print(
            f"step {step}  " + "  ".join(f"{name} {value:.5g}" for name, value in numbers.items()), flush=True
        )


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


def flops_per_step(config: BagelConfig, tokens: int, pairs: float, text_rows: int) -> float:
    """Floating-point operations of forward and backward over `tokens` rows of the language model.

    Each row passes one expert only: 6 per weight it meets. Attention: 12 per head channel and visible pair of
    rows (`pairs`), over all layers. The head runs on the rows with a text loss alone. ViT, autoencoder and
    recomputation are left out, so the share reported is a lower bound.
    """
    llm = config.llm
    width, key = llm.hidden_size, llm.num_key_value_heads * llm.head_dim
    layer = 2 * width * width + 2 * width * key + 3 * width * llm.intermediate_size
    dense = 6 * tokens * layer * llm.num_hidden_layers + 6 * text_rows * width * llm.vocab_size
    return dense + 12 * pairs * width * llm.num_hidden_layers
