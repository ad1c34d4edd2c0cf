"""What passes through the network during a forward, under the names that golden folders use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from tasks.backends.torch.ram.network import RamNetwork

BACKBONE, HEAD = r"visual_encoder", r"tagging_head\.encoder\.layer"

NAMES = (
    (rf"{BACKBONE}\.patch_embed", "mid.patch_embed"),
    (rf"{BACKBONE}\.layers\.(\d+)\.blocks\.(\d+)", "mid.stage{}_block{}"),
    (rf"{BACKBONE}\.layers\.(\d+)\.blocks\.(\d+)\.attn", "mid.stage{}_block{}_window_attention"),
    (rf"{BACKBONE}\.layers\.(\d+)\.downsample", "mid.stage{}_merged"),
    (rf"{BACKBONE}\.norm", "mid.final_norm"),
    (BACKBONE, "mid.tokens"),
    (r"image_proj", "mid.image_embeds"),
    (r"wordvec_proj", "mid.wordvec_proj"),
    (rf"{HEAD}\.(\d+)\.crossattention", "mid.decoder{}_cross_attention"),
    (rf"{HEAD}\.(\d+)", "mid.decoder{}"),
)
"""Pattern of a module's name, and the name of what it returns."""


@contextmanager
def recorded(network: RamNetwork) -> Iterator[dict[str, Tensor]]:
    """Outputs of all modules that `NAMES` lists, by golden name; filled by the forward inside the block."""
    states: dict[str, Tensor] = {}

    def keeper(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            del module, inputs
            states[name] = output

        return keep

    named = ((_golden_name(name), module) for name, module in network.named_modules())
    handles = [module.register_forward_hook(keeper(name)) for name, module in named if name is not None]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()


def _golden_name(module_name: str) -> str | None:
    for pattern, name in NAMES:
        match = re.fullmatch(pattern, module_name)
        if match:
            return name.format(*match.groups())
    return None
