"""Names, shapes and parameter counts of the full-size network, built on the meta device."""

from collections import Counter
from typing import Any

import torch
from torch import nn

from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import Bagel
from intercog_model.config import released_config
from intercog_model.grounding.features import segment_anything_module
from intercog_model.grounding.mask_decoder import MaskDecoder

EXPECTED = {
    "model": (1223, 14_607_260_128),
    "autoencoder": (244, 83_819_683),
    "SAM mask decoder": (120, 4_058_340),
}


def count() -> dict[str, tuple[int, int]]:
    """Tensors and values of each part."""
    with torch.device("meta"):
        config = released_config()
        parts = {
            "model": Bagel(config),
            "autoencoder": AutoEncoder(config.vae),
            "SAM mask decoder": MaskDecoder(),
        }
    return {
        name: (len(part.state_dict()), sum(t.numel() for t in part.state_dict().values()))
        for name, part in parts.items()
    }


def full_size_names() -> dict[str, dict[tuple[str, tuple[int, ...]], int]]:
    """How often each (name without layer numbers, shape) occurs in the model and in the autoencoder."""
    with torch.device("meta"):
        config = released_config()
        parts = {"model": Bagel(config), "vae": AutoEncoder(config.vae)}
    return {
        part: dict(
            Counter((without_numbers(name), tuple(t.shape)) for name, t in module.state_dict().items())
        )
        for part, module in parts.items()
    }


def without_numbers(name: str) -> str:
    """`layers.3.norm` as `layers.#.norm`; so is a name written with `{i}`."""
    return ".".join("#" if part.isdigit() or part == "{i}" else part for part in name.split("."))


def segment_anything_decoder() -> nn.Module:
    """The MaskDecoder of the package `segment-anything`."""
    transformer = segment_anything_module("transformer")
    inner = transformer.TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
    module = segment_anything_module("mask_decoder")
    decoder: nn.Module = module.MaskDecoder(transformer_dim=256, transformer=inner)
    return decoder


@torch.no_grad()
def decoder_difference(prompts: int, seed: int = 0) -> float:
    """Largest difference of one image's mask logits, [1, 4, 256, 256], between our decoder and theirs."""
    generator = torch.Generator().manual_seed(seed)
    theirs: Any = segment_anything_decoder()
    ours = MaskDecoder()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    image, code, dense = (torch.randn(1, 256, 64, 64, generator=generator) for _ in range(3))
    sparse = torch.randn(1, prompts, 256, generator=generator)
    expected, _ = theirs.predict_masks(image, code, sparse, dense)
    return float((ours(image, code, sparse, dense) - expected).abs().max())


def run() -> int:
    """Print counts and the decoder comparison; exit code 1 when something differs."""
    wrong = 0
    for name, found in count().items():
        ok = found == EXPECTED[name]
        wrong += not ok
        print(
            f"{'ok  ' if ok else 'MISS'} {name}: {found[0]} names, {found[1]:,} values (expected {EXPECTED[name]})"
        )
    try:
        for prompts in (0, 1):
            gap = decoder_difference(prompts)
            wrong += not gap <= 1e-5
            state = "ok  " if gap <= 1e-5 else "MISS"
            print(
                f"{state} mask decoder against segment-anything, {prompts} prompt tokens: {gap:.2e} (limit 1e-5)"
            )
    except ModuleNotFoundError:
        wrong += 1
        print("MISS segment-anything is not installed, the mask decoder was not compared")
    print(f"names {'FAILED' if wrong else 'passed'}: {wrong} faults")
    return 1 if wrong else 0
