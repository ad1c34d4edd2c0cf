"""The key-value cache of a context, and attention that reads it, with or without storing new rows.

Shape suffixes: L new rows, M cached rows, H query heads, K key heads, d head width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from intercog_model.backbone.attention import attend_rows
from intercog_model.config import LanguageConfig


class KVCache:
    """Normed and rotated keys and plain values of every layer, [length, K, d] each.

    Room grows by doubling, so that a new row costs no copy of the old ones.
    """

    def __init__(self, config: LanguageConfig, device: torch.device | str, dtype: torch.dtype) -> None:
        self.shape = (config.num_key_value_heads, config.head_dim)
        self.layers = config.num_hidden_layers
        self.length = 0
        self.keys = [torch.empty(0, *self.shape, device=device, dtype=dtype) for _ in range(self.layers)]
        self.values = [torch.empty_like(key) for key in self.keys]

    def fork(self) -> "KVCache":
        """An independent copy."""
        twin = object.__new__(KVCache)
        twin.shape, twin.layers, twin.length = self.shape, self.layers, self.length
        twin.keys = [key[: self.length].clone() for key in self.keys]
        twin.values = [value[: self.length].clone() for value in self.values]
        return twin

    def write(self, layer: int, k_LKd: Tensor, v_LKd: Tensor) -> tuple[Tensor, Tensor]:
        """Place rows behind the cached ones and return cached plus new, [M + L, K, d] each.

        The length is not changed: rows are kept only once `advance` is called.
        """
        stop = self.length + k_LKd.shape[0]
        if stop > self.keys[layer].shape[0]:
            self.keys[layer] = _grown(self.keys[layer], self.length, stop)
            self.values[layer] = _grown(self.values[layer], self.length, stop)
        self.keys[layer][self.length : stop] = k_LKd
        self.values[layer][self.length : stop] = v_LKd
        return self.keys[layer][:stop], self.values[layer][:stop]

    def advance(self, rows: int) -> None:
        """Keep the last `rows` written in every layer."""
        self.length += rows


def _grown(rows: Tensor, used: int, needed: int) -> Tensor:
    bigger = rows.new_empty(max(needed, 2 * rows.shape[0]), *rows.shape[1:])
    bigger[:used] = rows[:used]
    return bigger


def causal_mask(rows: int, cached: int, device: torch.device | str) -> Tensor | None:
    """Bool [rows, cached + rows], aligned at the end; None for one row, which sees everything."""
    if rows == 1:
        return None
    return torch.ones(rows, cached + rows, dtype=torch.bool, device=device).tril(cached)


class CachedAttend:
    """New rows see the whole cache, and one another causally or fully."""

    def __init__(self, cache: KVCache, rows: int, *, causal: bool) -> None:
        self.cache = cache
        # torch's is_causal flag aligns the triangle at the top left, wrong with cached rows before it
        device = cache.keys[0].device
        self.mask = causal_mask(rows, cache.length, device) if causal else None

    def __call__(self, layer: int, q_LHd: Tensor, k_LKd: Tensor, v_LKd: Tensor) -> Tensor:
        """See `Attend`."""
        keys, values = self.cache.write(layer, k_LKd, v_LKd)
        return attend_rows(q_LHd, keys, values, self.mask)


class ManyCachesAttend:
    """The same number of new rows for each of several caches, stacked; nothing is kept."""

    def __init__(self, caches: Sequence[KVCache]) -> None:
        self.caches = list(caches)

    def __call__(self, layer: int, q_LHd: Tensor, k_LKd: Tensor, v_LKd: Tensor) -> Tensor:
        """See `Attend`."""
        parts = (x.chunk(len(self.caches)) for x in (q_LHd, k_LKd, v_LKd))
        out = []
        for cache, q, k, v in zip(self.caches, *parts, strict=True):
            keys, values = cache.write(layer, k, v)
            out.append(attend_rows(q, keys, values, None))
        return torch.cat(out)
