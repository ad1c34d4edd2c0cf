"""When a run is validated, and where that goes: `validation.jsonl`, pictures as files, and both in the run's log."""

import json
from collections.abc import Callable
from pathlib import Path

import torch

from intercog_model.backbone.attention import Attend
from intercog_model.inference.jobs import write_chain
from intercog_model.training.build import Parts
from intercog_model.training.config import TrainConfig
from intercog_model.training.logging import StepLog, keep_lines
from intercog_model.training.objective import TrainingBatch
from intercog_model.training.sharding import MovingAverage
from intercog_model.training.validation import ValidationResult, Validator, averaged


class RunValidation:
    """The validations of one run, at the steps that its configuration says.

    Args:
        log: of the first process, which is written to; None on the others.
        first: the step that the run begins after; the validation after it is repeated, in case it was cut short.
    """

    def __init__(
        self,
        config: TrainConfig,
        parts: Parts,
        device: torch.device,
        attend: Callable[[TrainingBatch], Attend],
        log: StepLog | None,
        *,
        first: int,
    ) -> None:
        self.config, self.model, self.log = config, parts.model, log
        self.folder = Path(config.run.out)
        self.path = self.folder / "validation.jsonl"
        self.validator = Validator(config, parts, device, attend) if config.validation.every else None
        if self.log:
            keep_lines(self.path, first - 1)

    def before(self, step: int, average: MovingAverage) -> None:
        """Validate before the steps after `step`, where it is due; without pictures before the first."""
        if step < self.config.optim.steps:
            self._validate(step, average)

    def after(self, step: int, average: MovingAverage) -> None:
        """Validate after a step, where it is due; after the last it always is."""
        self._validate(step, average, last=step == self.config.optim.steps)

    def _validate(self, step: int, average: MovingAverage, *, last: bool = False) -> None:
        every = self.config.validation.every
        if self.validator is None or (step % every and not last):
            return
        with averaged(self.model, average):
            found = self.validator.validate(pictures=self.config.validation.pictures if step else 0)
        if self.log:
            self.write(step, found, self.log)

    def write(self, step: int, found: ValidationResult, log: StepLog) -> None:
        """Append the figures; pictures go to `validation/step-NNNNNNN/`, named as those of the edit command."""
        line = {"step": step, **found.values, "pictures": list(found.pictures), "left_out": found.left_out}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        pictures = {}
        for key, chain in found.pictures.items():
            write_chain(chain, self.folder / "validation" / f"step-{step:07d}", key)
            for name, picture in (("V", chain.grounded), ("edited", chain.edited)):
                if picture is not None:
                    pictures[f"{key}/{name}"] = picture
        log.show(step, {f"validation/{name}": value for name, value in found.values.items()}, pictures)
        print(told(step, found), flush=True)


def told(step: int, found: ValidationResult) -> str:
    """A line of the figures."""
    return f"validation after step {step}  " + "  ".join(
        f"{name} {value:.5g}" for name, value in found.values.items()
    )
