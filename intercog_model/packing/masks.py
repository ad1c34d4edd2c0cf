"""Which row may attend to which: dense masks per sample, and the same rule as a flex block mask.

Row i sees row j when both are of one sample, and j <= i or both lie in one image split, and j does not lie
in a noised split that i is outside of.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from intercog_model.packing.batch import PackedBatch

MODES = ("causal", "full", "noise")


def split_mask(lengths: Sequence[int], modes: Sequence[str]) -> Tensor:
    """Dense mask, bool [n, n], of one sample's splits; every row sees itself."""
    wrong = set(modes) - set(MODES)
    if wrong:
        raise ValueError(f"unknown split modes {sorted(wrong)}, expected {MODES}")
    split, image, noise = _row_properties(lengths, modes)
    row = torch.arange(len(split))
    same = split[:, None] == split[None, :]
    seen = (row[None, :] <= row[:, None]) | (same & image[:, None])
    return seen & (same | ~noise[None, :])


def dense_masks(batch: PackedBatch) -> list[Tensor]:
    """One dense mask per sample of the pack, on the CPU."""
    return [split_mask(lengths, modes) for lengths, modes in _samples(batch)]


def visible_pairs(batch: PackedBatch) -> int:
    """How many (row, seen row) pairs the dense masks hold, without making them."""
    pairs = 0
    for lengths, modes in _samples(batch):
        lasting = 0  # earlier rows that later splits still see
        for length, mode in zip(lengths, modes, strict=True):
            own = length * (length + 1) // 2 if mode == "causal" else length * length
            pairs += length * lasting + own
            lasting += length if mode != "noise" else 0
    return pairs


def _samples(batch: PackedBatch) -> Iterator[tuple[Sequence[int], Sequence[str]]]:
    """Split lengths and modes of each sample."""
    first = 0
    for length in batch.sample_lengths:
        last, rows = first, 0
        while rows < length:
            rows += batch.split_lengths[last]
            last += 1
        yield batch.split_lengths[first:last], batch.split_modes[first:last]
        first = last


def flex_mask(batch: PackedBatch, padded_length: int, device: torch.device | str) -> BlockMask:
    """Block mask over the pack; rows up to `padded_length` form a causal split of their own."""
    pad = padded_length - batch.length
    if pad < 0:
        raise ValueError(f"pack of {batch.length} rows is longer than the padded length {padded_length}")
    lengths, modes = [*batch.split_lengths, pad], [*batch.split_modes, "causal"]
    split, image, noise = (x.to(device) for x in _row_properties(lengths, modes))
    owners = [*batch.sample_lengths, pad]
    sample = _spread(torch.arange(len(owners)), owners).to(device)

    def visible(_b: Tensor, _h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        same = split[q] == split[k]
        seen = (k <= q) | (same & image[q])
        return (sample[q] == sample[k]) & seen & (same | ~noise[k])

    # the rule does not depend on the head, so one mask serves all of them
    return create_block_mask(visible, None, None, padded_length, padded_length, device=str(device))


def _row_properties(lengths: Sequence[int], modes: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
    split = _spread(torch.arange(len(lengths)), lengths)
    image = _spread(torch.tensor([m != "causal" for m in modes]), lengths)
    noise = _spread(torch.tensor([m == "noise" for m in modes]), lengths)
    return split, image, noise


def _spread(values: Tensor, lengths: Sequence[int]) -> Tensor:
    """Each value as often as its length says."""
    return torch.repeat_interleave(values, torch.tensor(list(lengths)), output_size=sum(lengths))
