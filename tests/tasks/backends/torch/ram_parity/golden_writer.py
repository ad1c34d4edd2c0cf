"""Folders like the golden one at other sizes, with numbers of our own network: they show that sizes are derived."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tasks.backends.torch.ram.network import RamNetwork
from tasks.backends.torch.ram.sizes import DecoderSizes, RamSizes, SwinSizes
from tasks.backends.torch.ram_parity.checks import TAGGING
from tasks.backends.torch.ram_parity.inner_states import recorded
from tasks.backends.torch.ram_parity.losses import training_losses
from tests.tasks.backends.torch.ram.tiny_ram import random_tensors

ODD = RamSizes(
    swin=SwinSizes(image=40, patch=2, window=5, width=6, depths=(1, 3, 2), heads=(1, 3, 2), mlp_ratio=2),
    decoder=DecoderSizes(width=12, feed_forward=20, layers=3, embedding=10, heads=3),
    tags=5,
    descriptions=7,
)
"""Odd windows; another number of stages, blocks, heads, layers, tags and descriptions."""

SMALL_STAGES = replace(
    ODD,
    swin=SwinSizes(image=48, patch=4, window=6, width=4, depths=(2, 2, 3), heads=(1, 2, 4)),
    decoder=replace(ODD.decoder, width=10, heads=2),
)
"""The last stage is smaller than a window, and labels are as wide as the head."""

TOLERANCE = {
    "float tensors": {"rtol": 1e-4, "atol": 1e-4},
    "role gradient": {"rtol": 1e-3, "atol": 1e-4},
    "integer tensors": "exact",
}


def write(folder: Path, sizes: RamSizes) -> Path:
    """A folder of this size; returns it."""
    folder.mkdir(parents=True)
    network = RamNetwork(sizes).eval()
    network.load_state_dict(random_tensors(sizes))
    files, names = _files(network, sizes)
    weights = dict(network.named_parameters()) | dict(network.named_buffers())
    for name, tensors in {"weights.safetensors": weights, **files}.items():
        save_file({key: tensor.detach().contiguous() for key, tensor in tensors.items()}, folder / name)
    cases = {
        "config": config(sizes),
        "weights": {"weights.safetensors": {name: list(tensor.shape) for name, tensor in weights.items()}},
        "tolerance": TOLERANCE,
        "extra": {"grad_norm_names": names, "note": {"other": "things"}},
        "files": {
            name: {key: {"role": _role(key), "shape": list(t.shape)} for key, t in tensors.items()}
            for name, tensors in files.items()
        },
    }
    (folder / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    return folder


def edit(folder: Path, change: Any) -> None:
    """Changes ``cases.json`` in place."""
    cases = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    change(cases)
    (folder / "cases.json").write_text(json.dumps(cases), encoding="utf-8")


def edit_tensors(folder: Path, file: str, change: Any) -> None:
    """Changes a file of tensors in place."""
    tensors = load_file(folder / file)
    change(tensors)
    save_file(tensors, folder / file)


def config(sizes: RamSizes) -> dict[str, Any]:
    """Sizes as ``cases.json`` states them."""
    swin, decoder = sizes.swin, sizes.decoder
    return {
        "swin": {
            "image_res": swin.image,
            "window_size": swin.window,
            "embed_dim": swin.width,
            "depths": swin.depths,
            "num_heads": swin.heads,
            "vision_width": swin.out_channels,
            "patch_size": swin.patch,
            "mlp_ratio": swin.mlp_ratio,
        },
        "tagging_head": {
            "hidden_size": decoder.width,
            "intermediate_size": decoder.feed_forward,
            "num_attention_heads": decoder.heads,
            "num_hidden_layers": decoder.layers,
            "encoder_width": decoder.embedding,
        },
        "num_class": sizes.tags,
        "descriptions_per_class": sizes.descriptions,
        "embedding_width": decoder.embedding,
    }


def _files(network: RamNetwork, sizes: RamSizes) -> tuple[dict[str, dict[str, torch.Tensor]], list[str]]:
    """Inputs, and what the network makes of them; the names behind the gradient norms."""
    torch.manual_seed(0)
    image = torch.randn(2, 3, sizes.swin.image, sizes.swin.image)
    limits = torch.rand(sizes.tags)
    labels = torch.randn(3 * (sizes.descriptions or 1), sizes.decoder.embedding)
    given = {
        "image_tag": torch.randint(0, 2, (2, sizes.tags)).float(),
        "clip_feature": torch.randn(2, sizes.decoder.embedding),
        "batch_text_embed": torch.randn(2, sizes.decoder.embedding),
    }
    with recorded(network) as states:
        logits = network(image)
    weights = network.description_weights(states["mid.image_embeds"])
    found = training_losses(network, image, **given)
    names = sorted(dict(network.named_parameters()))
    torch.stack(tuple(found.values())).sum().backward()
    norms = torch.stack([_gradient(network, name).norm() for name in names])
    original, network.label_embed = network.label_embed, torch.nn.Parameter(labels)
    other = network(image)
    network.label_embed = original
    tagging = {
        "in.image": image,
        "in.class_threshold": limits,
        **states,
        "mid.reweight_probs": weights,
        "mid.label_embed_reweighted": network.weigh(weights),
        "out.logits": logits,
        "out.probs": logits.sigmoid(),
        "out.tagged": (logits.sigmoid() > limits).to(torch.uint8),
    }
    inputs = {f"in.{name}": tensor for name, tensor in given.items()}
    return {
        TAGGING: tagging,
        "open_set.safetensors": {"in.label_embed": labels, "out.logits": other},
        "losses.safetensors": {**inputs, **found, "grad_norms": norms},
    }, names


def _gradient(network: RamNetwork, name: str) -> torch.Tensor:
    gradient = dict(network.named_parameters())[name].grad
    assert gradient is not None
    return gradient


def _role(name: str) -> str:
    return {"in": "input", "mid": "intermediate", "out": "output"}.get(name.partition(".")[0], "gradient")
