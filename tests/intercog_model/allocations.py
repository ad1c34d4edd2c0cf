"""One process of a run under PyTorch's profiler: the most that the CPU allocator handed out in its second step.

By torchrun or alone: `python -m tests.intercog_model.allocations OUT CONFIG …`
writes a number of bytes to OUT.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from intercog_model import train
from intercog_model.training.build import build
from intercog_model.training.config_files import load_config
from intercog_model.training.loop import Trainer
from intercog_model.training.run_record import RunRecord
from intercog_model.training.sharding import process_mesh, shard, world
from intercog_model.training.step_feed import ReadyStep
from tests.intercog_model.allocator_events import most_held

PACKS = 2


def measured_step(config, device):
    """Two steps with the first packs of the run's first step."""
    parts = build(config, device, empty=True)
    shard(parts.model, process_mesh(device.type, config.run.replicas), bf16=config.run.bf16)
    trainer = Trainer(config, parts, device, RunRecord(identity={}, numerics={}, operation={}))
    plan = parts.planner.plan(0)
    batches = tuple((parts.planner.batch(members, 0), True) for members in plan.packs[:PACKS])
    ready = ReadyStep(plan=plan, batches=batches, position=parts.planner.position())
    trainer._train_step(replace(ready, batches=batches[:1]))
    with record_function("second step"):
        trainer._train_step(ready)


def main(out, *configs):
    config = load_config([Path(path) for path in configs])
    device = train.start_processes()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        measured_step(config, device)
    if world()[0] == 0:
        Path(out).write_text(str(most_held(found, "second step")))
    torch.distributed.barrier()
    train.leave(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
