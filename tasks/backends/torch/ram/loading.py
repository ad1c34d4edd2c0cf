"""From the tensors of a published checkpoint to a network that answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from tasks.backends.torch.checkpoints import fill
from tasks.backends.torch.ram.network import RamNetwork
from tasks.backends.torch.ram.sizes import RamSizes, read_sizes
from tasks.records.errors import ModelUnavailable

COMPUTED = (".relative_position_index", ".attn_mask")
"""Ends of the names of buffers that some checkpoints hold and that follow from the sizes."""

RENAMED = ("vision_multi.", "tagging_head.")
"""The tagging head's name in older checkpoints, and the present one."""

UNUSED_BY_RAM = ("tag_encoder.", "text_decoder.")
"""RAM's caption model, which its checkpoint holds as well: the encoder of tags, and the decoder of texts."""


def rename(
    tensors: Mapping[str, Tensor], source: Path, unused: Sequence[str] = ()
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters under their present names, and the computed buffers of a checkpoint.

    Args:
        tensors: of the checkpoint.
        source: its file, for messages.
        unused: how the names of tensors begin that have no part in tagging.

    Raises:
        ModelUnavailable: a tensor is there under its old and its new name.
    """
    old, new = RENAMED
    parameters: dict[str, Tensor] = {}
    buffers: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith(tuple(unused)):
            continue
        present = new + name.removeprefix(old) if name.startswith(old) else name
        if present != name and present in tensors:
            raise ModelUnavailable(f"{source}: holds both {name} and {present}")
        (buffers if name.endswith(COMPUTED) else parameters)[present] = tensor
    return parameters, buffers


def network_of(
    tensors: Mapping[str, Tensor],
    source: Path,
    *,
    image: int,
    tags: int,
    reweighted: bool,
    unused: Sequence[str] = (),
    decoder_heads: int = 4,
    swin_eps: float = 1e-5,
    decoder_eps: float = 1e-12,
) -> RamNetwork:
    """The network of a checkpoint, on the CPU, in evaluation mode, without gradients.

    Sizes are read from the tensors (`read_sizes`), so that checkpoints of any size load.

    Args:
        tensors: under the published names.
        source: the checkpoint's file, for messages.
        image: side of the pictures that it was made for, pixels.
        tags: length of its tag list.
        reweighted: RAM++; False: RAM.
        unused: see `rename`.
        decoder_heads: attention heads of the tagging head, which no tensor shows.
        swin_eps: epsilon of the backbone's norms.
        decoder_eps: epsilon of the tagging head's norms.

    Raises:
        ModelUnavailable: a tensor is missing, unexpected or of another shape, or the sizes contradict each other.
    """
    parameters, buffers = rename(tensors, source, unused)
    try:
        sizes = read_sizes(
            parameters,
            image=image,
            tags=tags,
            reweighted=reweighted,
            decoder_heads=decoder_heads,
            swin_eps=swin_eps,
            decoder_eps=decoder_eps,
        )
        network = empty_network(sizes)
    except KeyError as error:
        raise ModelUnavailable(f"{source}: missing {error.args[0]}") from error
    except (ValueError, IndexError) as error:
        raise ModelUnavailable(f"{source}: {error}") from error
    fill(network, parameters, source)
    _check_buffers(network, buffers, source)
    return network.eval().requires_grad_(False)


def empty_network(sizes: RamSizes) -> RamNetwork:
    """A network whose parameters are on the meta device: names and shapes without memory. Buffers are real."""
    with torch.device("meta"):
        return RamNetwork(sizes)


def _check_buffers(network: RamNetwork, buffers: Mapping[str, Tensor], source: Path) -> None:
    """A checkpoint's masks and indices tell the size of the pictures that it was made for.

    Raises:
        ModelUnavailable: a buffer is of no use here, or has another shape than ours.
    """
    ours = dict(network.named_buffers())
    for name, tensor in buffers.items():
        if name not in ours:
            raise ModelUnavailable(
                f"{source}: unexpected {name} for pictures of {network.sizes.swin.image} pixels"
            )
        if tensor.shape != ours[name].shape:
            expected = f"pictures of {network.sizes.swin.image} pixels need {list(ours[name].shape)}"
            raise ModelUnavailable(f"{source}: {name} has shape {list(tensor.shape)}, {expected}")
