"""Random checkpoints for the perception bench: of full size, or of a size for the CPU, loaded by the real backends."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection, SamConfig, SamModel

from tasks.backends.torch.ram.loading import empty_network
from tasks.backends.torch.ram.sizes import RAM_PLUS, DecoderSizes, RamSizes, SwinSizes
from tasks.backends.weights import write_lock
from tests.tasks.backends.torch.tiny_lama import write_tiny_lama
from tests.tasks.backends.torch.tiny_perception import IMAGENET, randomize, write_tokenizer

SWIN_T = {
    "embed_dim": 96,
    "depths": [2, 2, 6, 2],
    "num_heads": [3, 6, 12, 24],
    "window_size": 7,
    "image_size": 224,
}
SWIN_B = {
    "embed_dim": 128,
    "depths": [2, 2, 18, 2],
    "num_heads": [4, 8, 16, 32],
    "window_size": 12,
    "image_size": 384,
}


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of all networks and of what they are asked.

    Attributes:
        ram: of the tagger.
        swins: backbone of each GroundingDINO, by a letter for its name.
        dino: rest of its configuration; ``shortest``, ``longest``: sides of its input, pixels.
        sam: configuration; ``sam_side``: of its input, pixels.
        lama: width and residual blocks.
        picture: height and width of the photographs; ``window``, ``crop``: sides for inpainter and editor.
        pictures, crops: how many of each are asked about in one run; ``names`` and ``boxes``: per picture.
        points: of the editor's sampler.
    """

    ram: RamSizes
    swins: dict[str, dict[str, Any]]
    dino: dict[str, Any]
    shortest: int
    longest: int
    sam: dict[str, Any]
    sam_side: int
    lama: tuple[int, int]
    picture: tuple[int, int]
    window: int
    crop: int
    pictures: int
    crops: int
    names: int
    boxes: int
    points: int


FULL = Sizes(
    ram=RAM_PLUS,
    swins={"T": SWIN_T, "B": SWIN_B},
    dino={},
    shortest=800,
    longest=1333,
    sam={
        "vision_config": {
            "hidden_size": 1280,
            "num_hidden_layers": 32,
            "num_attention_heads": 16,
            "global_attn_indexes": [7, 15, 23, 31],
        }
    },
    sam_side=1024,
    lama=(64, 18),
    picture=(1500, 2250),
    window=768,
    crop=768,
    pictures=32,
    crops=4,
    names=20,
    boxes=20,
    points=10,
)
"""The published sizes, photographs as in SA-1B, and about as many names and boxes as a tagger finds in one."""

_DEBUG_SWIN = {
    "embed_dim": 8,
    "depths": [1, 1, 1, 1],
    "num_heads": [1, 1, 2, 2],
    "window_size": 2,
    "image_size": 64,
}

DEBUG = Sizes(
    ram=RamSizes(
        swin=SwinSizes(image=32, patch=4, window=2, width=8, depths=(1, 1), heads=(1, 2)),
        decoder=DecoderSizes(width=16, feed_forward=32, layers=2, embedding=8),
        tags=40,
        descriptions=3,
    ),
    swins={"T": _DEBUG_SWIN, "B": _DEBUG_SWIN},
    dino={
        "text_config": {
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 32,
        },
        "d_model": 32,
        "num_queries": 20,
        "encoder_layers": 2,
        "encoder_ffn_dim": 32,
        "encoder_attention_heads": 4,
        "decoder_layers": 2,
        "decoder_ffn_dim": 32,
        "decoder_attention_heads": 4,
    },
    shortest=64,
    longest=112,
    sam={
        "vision_config": {
            "hidden_size": 32,
            "output_channels": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 128,
            "mlp_dim": 32,
            "window_size": 3,
            "global_attn_indexes": [1],
            "num_pos_feats": 16,
        },
        "prompt_encoder_config": {"hidden_size": 32, "image_size": 128, "mask_input_channels": 4},
        "mask_decoder_config": {"hidden_size": 32, "mlp_dim": 32, "iou_head_hidden_dim": 32},
    },
    sam_side=128,
    lama=(4, 1),
    picture=(96, 128),
    window=64,
    crop=64,
    pictures=3,
    crops=2,
    names=4,
    boxes=3,
    points=3,
)
"""Seconds on a CPU."""


def write_ram(folder: Path, sizes: Sizes) -> dict[str, str]:
    """A checkpoint in the published form, its tag list and thresholds; returns the options that name them."""
    network = empty_network(sizes.ram)
    tensors = {name: _drawn(name, value) for name, value in network.named_parameters()}
    path, tags, limits = folder / "ram_plus.pth", folder / "tags.txt", folder / "thresholds.txt"
    torch.save({"model": tensors}, path)
    # So many logits of a random network are above zero that any threshold gives tags; how many does not matter here.
    tags.write_text("\n".join(f"tag {number}" for number in range(sizes.ram.tags)), encoding="utf-8")
    limits.write_text("\n".join(["0.5"] * sizes.ram.tags), encoding="utf-8")
    write_lock(path, "random")
    return {"weights": str(path), "tags": str(tags), "thresholds": str(limits)}


def dino_config(sizes: Sizes, letter: str) -> GroundingDinoConfig:
    """Of GroundingDINO with that backbone."""
    text = {"model_type": "bert", **sizes.dino.get("text_config", {})}
    backbone = {"model_type": "swin", "out_indices": [2, 3, 4], **sizes.swins[letter]}
    return GroundingDinoConfig(**{**sizes.dino, "text_config": text, "backbone_config": backbone})


def write_dino(folder: Path, sizes: Sizes, letter: str) -> dict[str, str]:
    """GroundingDINO with that backbone; returns the option that names it."""
    config = dino_config(sizes, letter)
    target = folder / f"dino-{letter}"
    model = randomize(GroundingDinoForObjectDetection(config), 0)
    # A score is a plain dot product of two normalized vectors; unscaled, all of them would be 0 or 1.
    torch.nn.init.constant_(model.model.decoder.layer_norm.weight, 2 / config.d_model**0.5)
    model.save_pretrained(target)
    write_tokenizer(target)
    size = {"shortest_edge": sizes.shortest, "longest_edge": sizes.longest}
    return _finished(target, {"size": size, "image_processor_type": "GroundingDinoImageProcessor"})


def write_sam(folder: Path, sizes: Sizes) -> dict[str, str]:
    """SAM; returns the option that names it."""
    target = folder / "sam"
    randomize(SamModel(SamConfig(**sizes.sam)), 0).save_pretrained(target)
    side = sizes.sam_side
    preprocessing = {
        "size": {"longest_edge": side},
        "pad_size": {"height": side, "width": side},
        "image_processor_type": "SamImageProcessor",
    }
    return _finished(target, preprocessing)


def write_lama(folder: Path, sizes: Sizes) -> dict[str, str]:
    """A TorchScript file that is called as ``big-lama.pt`` is, of about its size; returns the option that names it."""
    width, blocks = sizes.lama
    return {"weights": str(write_tiny_lama(folder / "lama.pt", width=width, blocks=blocks))}


def _drawn(name: str, value: torch.Tensor) -> torch.Tensor:
    """Random values of about the size that trained ones have."""
    if value.ndim == 0:
        return torch.tensor(math.log(1 / 0.07))
    if value.ndim == 1:
        return torch.ones(value.shape) if name.endswith("weight") else torch.zeros(value.shape)
    return torch.randn(value.shape) * value[0].numel() ** -0.5


def _finished(folder: Path, preprocessing: dict[str, Any]) -> dict[str, str]:
    text = json.dumps({**IMAGENET, **preprocessing})
    (folder / "preprocessor_config.json").write_text(text, encoding="utf-8")
    write_lock(folder, "random")
    return {"weights": str(folder)}
