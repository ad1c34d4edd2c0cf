"""Schedules, position ids, time features and the resize rule, read from the names of the stored tensors."""

import re
from collections import Counter

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
    file.check("resize.sizes", torch.tensor(expected_sizes(file.tensors["resize.sizes"].tolist())))
    file.close()


def expected_sizes(table: list[list[int]]) -> list[list[int]]:
    """The resize table, rows (max side, min side, stride, width, height, new width, new height), as it should be.

    Its first five columns are inputs, and a changed input may leave the result as it was. But the table asks
    for the same sizes under several rules: blocks of rows that share a rule are compared with each other first.
    """
    inputs = _inputs_of_blocks(table)
    rules = [SizeRule(max_side=row[0], min_side=row[1], stride=row[2]) for row in inputs]
    return [[*row, *rule.size(*row[3:])] for row, rule in zip(inputs, rules, strict=True)]


def _inputs_of_blocks(table: list[list[int]]) -> list[list[int]]:
    """Columns 0 to 4 with what most of a block (rule) or most blocks (width, height) say; as given without blocks."""
    rules = Counter(tuple(row[:3]) for row in table)
    count = sum(1 for times in rules.values() if times > 1)
    if not count or len(table) % count:
        return [row[:5] for row in table]
    length = len(table) // count
    blocks = [table[start : start + length] for start in range(0, len(table), length)]
    common = [_most([row[:3] for row in block]) for block in blocks]
    if length < 4 or any(times < length - 1 for _, times in common):
        return [row[:5] for row in table]
    sizes = [_most([block[row][3:5] for block in blocks]) for row in range(length)]
    # tables that ask for other sizes under every rule have nothing to compare, and their blocks may be uneven
    alike = count > 1 and 2 * sum(times == count for _, times in sizes) > length
    return [
        [
            *(rule if alike or rules[tuple(block[row][:3])] == 1 else block[row][:3]),
            *(sizes[row][0] if alike else block[row][3:5]),
        ]
        for (rule, _), block in zip(common, blocks, strict=True)
        for row in range(length)
    ]


def _most(values: list[list[int]]) -> tuple[list[int], int]:
    """The most frequent value, the first of equals, and how often it occurs."""
    value, times = Counter(map(tuple, values)).most_common(1)[0]
    return list(value), times
