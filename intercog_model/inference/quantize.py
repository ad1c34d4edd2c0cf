"""Language-model weights in 8 or 4 bits, by bitsandbytes; everything else keeps its type."""

from importlib import import_module
from typing import Any

import torch
from torch import nn

from intercog_model.backbone.bagel import Bagel

BITS = (4, 8)
LIBRARY = "bitsandbytes"


def quantize(model: Bagel, bits: int, device: torch.device | str) -> Bagel:
    """Replace the linear layers of all decoder layers, both experts, and move the model to `device`.

    8: int8 rows with outliers kept apart (vector-wise); 4: NF4, computed in the model's own type. The model must
    lie on the CPU, where its weights are packed one by one. Embedding, head, norms, ViT, connector and flow head
    are left as they are. Raises ValueError for other numbers of bits.
    """
    if bits not in BITS:
        raise ValueError(f"{bits} bits: only {BITS} are offered")
    dtype = model.vae2llm.weight.dtype
    for layer in model.language_model.model.layers:
        for parent in [*layer.modules()]:
            for name, child in [*parent.named_children()]:
                if isinstance(child, nn.Linear):
                    setattr(parent, name, _packed(child, bits, dtype))
        layer.to(device)
    return model.to(device)


def library() -> Any:
    """The module that packs weights, which only those who ask for fewer bits need; raises ImportError."""
    return import_module(LIBRARY)


def _packed(linear: nn.Linear, bits: int, dtype: torch.dtype) -> nn.Module:
    bitsandbytes = library()
    sizes = (linear.in_features, linear.out_features, linear.bias is not None)
    packed: nn.Module
    if bits == 8:
        packed = bitsandbytes.nn.Linear8bitLt(*sizes, has_fp16_weights=False)
    else:
        packed = bitsandbytes.nn.Linear4bit(*sizes, compute_dtype=dtype, quant_type="nf4")
    packed.load_state_dict(linear.state_dict())
    return packed.requires_grad_(False)
