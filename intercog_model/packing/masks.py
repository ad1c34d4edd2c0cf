"""Which row may attend to which: dense masks per sample, and the same rule as a flex block mask.

Row i sees row j when both are of one sample, and j <= i or both lie in one image split, and j does not lie
in a noised split that i is outside of.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from intercog_model.packing.batch import PackedBatch

MODES = ("causal", "full", "noise")
BLOCK = 128  # rows and columns of a block of the mask


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
    """Block mask over the pack, on a GPU by a compiled kernel that never makes the dense mask (GB at 24576 rows).

    A row up to `padded_length` sees its own block's rows alone: as one causal split, 13,000 of them would cost more
    than a sample. Packs of one `padded_length` share all compiled code.
    """
    pad = padded_length - batch.length
    if pad < 0:
        raise ValueError(f"pack of {batch.length} rows is longer than the padded length {padded_length}")
    first = -batch.length % BLOCK  # padding begins inside a block
    blocks = [size for size in (min(first, pad), *[BLOCK] * ((pad - first) // BLOCK)) if size > 0]
    blocks += [rest] if (rest := pad - sum(blocks)) else []
    lengths, modes = [*batch.split_lengths, *blocks], [*batch.split_modes, *["causal"] * len(blocks)]
    split, image, noise = (x.to(device) for x in _row_properties(lengths, modes))
    owners = [*batch.sample_lengths, *blocks]
    sample = _spread(torch.arange(len(owners)), owners).to(device)

    def visible(_b: Tensor, _h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        same = split[q] == split[k]
        seen = (k <= q) | (same & image[q])
        return (sample[q] == sample[k]) & seen & (same | ~noise[k])

    make = compiled_maker() if torch.device(device).type == "cuda" else create_block_mask
    # the rule does not depend on the head, so one mask serves all of them
    return make(visible, None, None, padded_length, padded_length, device=str(device), BLOCK_SIZE=BLOCK)


@cache
def compiled_maker(backend: str = "inductor") -> Callable[..., BlockMask]:
    """`create_block_mask`, compiled once per process."""
    return torch.compile(create_block_mask, backend=backend)


def _row_properties(lengths: Sequence[int], modes: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
    split = _spread(torch.arange(len(lengths)), lengths)
    image = _spread(torch.tensor([m != "causal" for m in modes]), lengths)
    noise = _spread(torch.tensor([m == "noise" for m in modes]), lengths)
    return split, image, noise


def _spread(values: Tensor, lengths: Sequence[int]) -> Tensor:
    """Each value as often as its length says."""
    return torch.repeat_interleave(values, torch.tensor(list(lengths)), output_size=sum(lengths))
