"""Schedules, position ids, time features and the resize rule, read from the names of the stored tensors."""

import re

import torch

from intercog_model.backbone.flow import sampler_times, training_time
from intercog_model.backbone.position_tables import grid_ids, timestep_sinusoid
from intercog_model.packing.resize import SizeRule
from intercog_model.parity.golden import Golden

FILE = "helpers.safetensors"
SCHEDULE = re.compile(r"schedule\.shift([\d.]+)\.grid(\d+)$")
POSITIONS = re.compile(r"position_ids\.(extrapolate|interpolate)\.h(\d+)_w(\d+)_patch(\d+)_side(\d+)$")


@torch.no_grad()
def check(golden: Golden) -> None:
    """Compute the file from its inputs and from the settings in the names."""
    file = golden.open(FILE)
    for name in file.names(""):
        if match := SCHEDULE.match(name):
            grid = sampler_times(int(match[2]), float(match[1]))
            prefix = name.rpartition(".")[0]
            file.check(name, grid)
            file.check(f"{prefix}.timesteps_visited", grid[:-1])
            file.check(f"{prefix}.dt", grid[:-1] - grid[1:])
        elif match := POSITIONS.match(name):
            height, width, patch, side = (int(x) for x in match.groups()[1:])
            ids = grid_ids(height // patch, width // patch, side, interpolate=match[1] == "interpolate")
            file.check(name, ids)
    times = file.take("timestep_embedding.in")
    file.check("timestep_embedding.sinusoid", timestep_sinusoid(times, golden.config.timestep_features))
    file.check("timestep_embedding.out", golden.model.time_embedder(times))
    raw = file.take("train_timestep.in")
    file.check("train_timestep.out", training_time(raw, golden.training_shift))
    sizes = []
    for row in file.tensors["resize.sizes"].tolist():
        largest, smallest, stride, width, height = row[:5]
        rule = SizeRule(max_side=largest, min_side=smallest, stride=stride)
        sizes.append([*row[:5], *rule.size(width, height)])
    file.check("resize.sizes", torch.tensor(sizes))
    file.close()
