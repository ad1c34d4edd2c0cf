"""Names, shapes and parameter counts of the full-size network, built on the meta device."""

from collections import Counter

import torch

from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import Bagel
from intercog_model.config import released_config
from intercog_model.grounding.segment_anything import build_mask_decoder

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
            "SAM mask decoder": build_mask_decoder(),
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


def run() -> int:
    """Print the counts; exit code 1 when something differs."""
    wrong = 0
    for name, found in count().items():
        ok = found == EXPECTED[name]
        wrong += not ok
        print(
            f"{'ok  ' if ok else 'MISS'} {name}: {found[0]} names, {found[1]:,} values (expected {EXPECTED[name]})"
        )
    print(f"names {'FAILED' if wrong else 'passed'}: {wrong} faults")
    return 1 if wrong else 0
