"""The training loop: plan a step, accumulate its packs, clip, step, average, log and save."""

import math
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from intercog_model.backbone.attention import Attend, DenseAttend, FlexAttend
from intercog_model.backbone.bagel import encode_images
from intercog_model.packing.masks import dense_masks, flex_mask
from intercog_model.training.build import Parts
from intercog_model.training.checkpoints import Checkpoints, trained_tensors
from intercog_model.training.config import TrainConfig, to_json
from intercog_model.training.devices import device_memory, peak_flops
from intercog_model.training.flops import row_flops
from intercog_model.training.logging import StepLog
from intercog_model.training.objective import TrainingBatch, term_counts, total_loss
from intercog_model.training.run_folder import require_same_run
from intercog_model.training.run_record import Parent, RunRecord
from intercog_model.training.schedule import parameter_groups, set_rates
from intercog_model.training.sharding import (
    MovingAverage,
    digest,
    most_over_ranks,
    optimizer_bytes,
    optimizer_digest,
    sum_over_ranks,
    world,
)
from intercog_model.training.step_feed import ReadyStep, StepFeed
from intercog_model.training.step_plan import StepPlan
from intercog_model.training.stop_request import StopRequest
from intercog_model.training.validation_log import RunValidation
from intercog_model.training.wandb_run import WandbRun


class NotFiniteError(RuntimeError):
    """A loss or gradient became NaN or infinite; the message names the step and its samples."""


class Trainer:
    """State of a run; `resume` finds where it stands, `run` carries it to the last step."""

    def __init__(self, config: TrainConfig, parts: Parts, device: torch.device, record: RunRecord) -> None:
        self.config, self.parts, self.device, self.record = config, parts, device, record
        self.folder = Path(config.run.out)
        self.rank, self.ranks = world()
        o = config.optim
        self.optimizer = torch.optim.AdamW(
            parameter_groups(parts.model, o),
            betas=(o.beta1, o.beta2),
            eps=o.eps,
            weight_decay=o.weight_decay,
            fused=True,  # by default, sharded parameters would be stepped one by one
        )
        self.average = MovingAverage(parts.model, o.ema_decay)
        self.step = 0
        self.position = parts.planner.position()
        self.stop, self.stopping = StopRequest(), False
        self.attend = packed_attention(config, device)
        self.flops = row_flops(parts.model)
        self.peak_flops = peak_flops(device, config.run.peak_tflops)

    def resume(self) -> None:
        """Go on from the newest checkpoint, if there is one, and open the log; before `run`."""
        run = self.config.run
        self.checkpoints = Checkpoints(run.place_of_checkpoints, keep=run.keep_checkpoints)
        found = self.checkpoints.restore(self.parts.model, self.optimizer, self.average, self._require_own)
        if found is None and self.record.parent:
            found = self._restore_parent(self.record.parent)
        if found is not None:
            self.step = found["step"]
        if found is not None and "position" in found:
            self.position = found["position"]
            self.parts.planner.restore(self.position)
        self.log = StepLog(self.folder, self.step, self._wandb()) if self.rank == 0 else None
        self.validation = RunValidation(
            self.config, self.parts, self.device, self.attend, self.log, first=self.step
        )

    def _wandb(self) -> WandbRun | None:
        project = self.config.run.wandb
        return WandbRun(project, self.folder, to_json(self.config)) if project else None

    def run(self) -> None:
        """All remaining steps; a checkpoint at every `save_every` steps and at the end.

        Any process that is asked to stop stops all of them after the same step, which is saved.
        """
        with self.stop:
            self._run()

    def _run(self) -> None:
        steps = self.config.optim.steps
        self.validation.before(self.step, self.average)
        feed = StepFeed(self.parts.planner, rank=self.rank, ranks=self.ranks, first=self.step, stop=steps)
        try:
            while self.step < steps and not self.stopping:
                started = time.monotonic()
                ready = feed.take()
                waited = time.monotonic() - started
                values = self._train_step(ready)
                self.step += 1
                self.position = ready.position
                values |= {"seconds": time.monotonic() - started, "data_seconds": waited}
                self._rates(values)
                if self.log:
                    self.log.write(self.step, values)
                if self.step % self.config.run.save_every == 0 or self.step == steps or self.stopping:
                    self.save()
                if not self.stopping:
                    self.validation.after(self.step, self.average)
        finally:
            feed.close()
            self.checkpoints.wait()
            if self.log:
                self.log.close()

    def save(self) -> None:
        """A checkpoint of this moment, which is written while training goes on."""
        tensors = trained_tensors(self.parts.model, self.optimizer, self.average)
        state = {
            "position": self.position,
            "run": self.record.to_json(),
            "config": to_json(self.config),
        }
        self.checkpoints.save(self.step, tensors, state)

    def _restore_parent(self, parent: Parent) -> dict[str, Any]:
        """What was saved beside the tensors of a forked run's parent; without the position if the data is other."""
        checkpoints = Checkpoints(parent.place, keep=1)
        found = checkpoints.restore(
            self.parts.model, self.optimizer, self.average, lambda _name, _state: None, only=parent.name
        )
        assert found is not None  # a checkpoint that is asked for is taken or an error
        return {"step": found["step"]} if parent.other_data else found

    def _require_own(self, name: str, state: dict[str, Any]) -> None:
        require_same_run(
            self.record, RunRecord.from_json(state["run"]), f"{self.checkpoints.folder.uri}: {name}"
        )

    def _train_step(self, ready: ReadyStep) -> dict[str, Any]:
        objective = self.parts.model.config
        plan, batches = ready.plan, ready.batches
        own_counts = defaultdict[str, float](float)
        for batch, counted in batches:
            for name, value in term_counts(batch, objective).items():
                own_counts[name] += value * counted
        # every term is a mean over the whole step, so its count is summed before the first backward pass
        counts = self._summed(own_counts | {"asked to stop": float(bool(self.stop.asked))})
        self.stopping = counts.pop("asked to stop") > 0
        sums = {name: torch.zeros((), dtype=torch.float64, device=self.device) for name in counts}
        work = {"tokens": 0.0, "flops": 0.0}
        for batch, counted in batches:
            for name, part in self._accumulate(batch, counts, counted=counted).items():
                sums[name] += part.double() * counted
            work["tokens"] += batch.packed.length * counted
            work["flops"] += self.flops.of(batch.packed) * counted
        # read here, once a step: until then nothing waits for the device
        totals = self._summed({name: self._number(value) for name, value in sums.items()} | work)
        means = {name: totals[name] / counts[name] for name in counts if counts[name]}
        self._require_finite(plan, means)
        rates = set_rates(self.optimizer, self.config.optim, self.step)
        norm = torch.nn.utils.clip_grad_norm_(
            [p for p in self.parts.model.parameters() if p.requires_grad], self.config.optim.clip_norm
        )
        grad_norm = self._number(norm)
        self._require_finite(plan, {"gradient norm": grad_norm})
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.parts.model)
        loss = sum(objective.weight(name) * value for name, value in means.items())
        return {"loss": loss, **means, "grad_norm": grad_norm, **rates} | self._facts(ready, totals)

    def _number(self, value: Tensor) -> float:
        """The value, for which the device is waited for."""
        return float(value.full_tensor() if isinstance(value, DTensor) else value)

    def _summed(self, values: dict[str, float]) -> dict[str, float]:
        return sum_over_ranks(values, self.device)

    def _accumulate(
        self, batch: TrainingBatch, counts: dict[str, float], *, counted: bool
    ) -> dict[str, Tensor]:
        """Forward and backward of one pack; the sums of its terms."""
        batch = batch.to(self.device)
        patch = self.parts.model.bagel.config.latent_patch_size
        clean = encode_images(self.parts.vae, batch.packed, patch, padded=self.config.run.padded_vae_batches)
        sums = self.parts.model(batch, clean, self.attend(batch))
        present = {name: max(counts.get(name, 0.0), 1.0) for name in sums}
        loss = total_loss(sums, present, self.parts.model.config)
        # sharded gradients are averaged over ranks, the loss is a sum over them
        (loss * self.ranks * counted).backward()
        return {name: value.detach() for name, value in sums.items() if name in counts}

    def _require_finite(self, plan: StepPlan, values: dict[str, float]) -> None:
        wrong = {name: value for name, value in values.items() if not math.isfinite(value)}
        if wrong:
            raise NotFiniteError(
                f"step {plan.step + 1}: {wrong}; samples of the step: {', '.join(plan.keys)}"
            )

    def _facts(self, ready: ReadyStep, totals: dict[str, float]) -> dict[str, Any]:
        plan, broken, too_long = ready.plan, ready.broken, ready.too_long
        known = self.position["broken"].keys() | self.position["too_long"].keys()
        facts: dict[str, Any] = {
            "tokens": totals["tokens"],
            "flops": totals["flops"],
            "packs": len(plan.packs),
            "broken": sum(broken.values()),
            "too_long": sum(too_long.values()),
            "keys": plan.keys,
            "left_out": sorted(broken.keys() | too_long.keys()),
            # each is told once: in the step whose reading met it first
            "reasons": {key: why for key, why in ready.reasons.items() if key not in known},
            "ema_bytes": self.average.bytes(),
            "optimizer_bytes": optimizer_bytes(self.optimizer),
        }
        if self.config.run.digest_every_step:
            facts["ema_digest"] = digest(self.average.values.values())
            facts["optimizer_digest"] = optimizer_digest(self.optimizer)
        return facts

    def _rates(self, values: dict[str, Any]) -> None:
        values["tokens_per_second"] = values["tokens"] / values["seconds"]
        flops = values.pop("flops")
        if self.peak_flops:
            values["mfu"] = flops / values["seconds"] / (self.ranks * self.peak_flops)
        # the fullest of the GPUs is the one that runs out of memory
        values |= most_over_ranks(device_memory(self.device), self.device)


def packed_attention(config: TrainConfig, device: torch.device) -> Callable[[TrainingBatch], Attend]:
    """How the rows of a pack attend to one another, as the configuration says."""

    def attend(batch: TrainingBatch) -> Attend:
        if config.run.attention == "flex":
            length = -(-max(batch.packed.length, config.optim.max_tokens) // 128) * 128
            return FlexAttend(flex_mask(batch.packed, length, device), compiled=True)
        return DenseAttend([mask.to(device) for mask in dense_masks(batch.packed)])

    return attend
