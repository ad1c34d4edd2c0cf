"""Names and shapes of the full-size network, built on the meta device."""

from __future__ import annotations

import re
from collections import Counter

from tasks.backends.torch.ram.loading import empty_network
from tasks.backends.torch.ram.network import RamNetwork
from tasks.backends.torch.ram.sizes import RAM_PLUS, DecoderSizes, RamSizes, SwinSizes
from tasks.backends.torch.ram_parity.golden import FullSize, SizesStated
from tasks.backends.torch.ram_parity.report import Report
from tasks.records.errors import ConfigurationError

TENSORS, PARAMETERS = 402, 329_493_046
"""Of RAM++ as published: parameters and buffers by name, and single values of the parameters."""


def check_full_size(report: Report, stated: FullSize | None) -> None:
    """Compares RAM++ with the names and shapes that its published constructor makes.

    Args:
        report: to add rows to.
        stated: of the folder; None: only the published counts are compared.
    """
    network = empty_network(RAM_PLUS if stated is None else sizes_of(stated.sizes))
    shapes = shapes_of(network)
    tensors, parameters = (
        (TENSORS, PARAMETERS) if stated is None else (stated.model.tensors, stated.model.parameters)
    )
    count = sum(parameter.numel() for parameter in network.parameters())
    report.require("full size: tensors", len(shapes) == tensors, f"{len(shapes)} of {tensors} expected")
    report.require("full size: values", count == parameters, f"{count} of {parameters} expected")
    if stated is None:
        report.skip("full size: names and shapes", "the folder has no full_size_names.json")
    else:
        wanted: Counter[tuple[str, tuple[int, ...]]] = Counter()
        for name, shape, times in stated.model.names:
            wanted[pattern_of(name), shape] += times
        ours = Counter((pattern_of(name), shape) for name, shape in shapes.items())
        wrong = [f"{name} {list(shape)}" for name, shape in sorted((wanted - ours) + (ours - wanted))]
        matching = sum((wanted & ours).values())
        note = "; ".join(wrong[:3]) if wrong else f"{matching} names and shapes, on the meta device"
        report.require("full size: names and shapes", not wrong, note)


def shapes_of(network: RamNetwork) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all parameters and buffers, as a published state dict has them."""
    return {name: tuple(t.shape) for name, t in (*network.named_parameters(), *network.named_buffers())}


def pattern_of(name: str) -> str:
    """The name with its numbers as ``{i}``; lists of names differ in which numbers they write out."""
    return re.sub(r"(?<=\.)\d+(?=\.)", "{i}", name)


def sizes_of(stated: SizesStated) -> RamSizes:
    """Stated sizes as our own record.

    Raises:
        ConfigurationError: they contradict each other.
    """
    try:
        sizes = _sizes_of(stated)
    except ValueError as error:
        raise ConfigurationError(f"stated sizes: {error}") from error
    widths = stated.swin.vision_width, stated.embedding_width or stated.tagging_head.encoder_width
    if widths != (sizes.swin.out_channels, sizes.decoder.embedding):
        ours = f"{sizes.swin.out_channels} and {sizes.decoder.embedding}"
        raise ConfigurationError(
            f"stated sizes: vision_width and embedding_width {widths}, the others give {ours}"
        )
    return sizes


def _sizes_of(stated: SizesStated) -> RamSizes:
    swin, head = stated.swin, stated.tagging_head
    return RamSizes(
        swin=SwinSizes(
            image=swin.image_res,
            patch=swin.patch_size,
            window=swin.window_size,
            width=swin.embed_dim,
            depths=swin.depths,
            heads=swin.num_heads,
            mlp_ratio=swin.mlp_ratio,
            norm_eps=swin.layer_norm_eps,
        ),
        decoder=DecoderSizes(
            width=head.hidden_size,
            feed_forward=head.intermediate_size,
            layers=head.num_hidden_layers,
            embedding=head.encoder_width,
            heads=head.num_attention_heads,
            norm_eps=head.layer_norm_eps,
        ),
        tags=stated.num_class,
        descriptions=stated.descriptions_per_class,
    )
