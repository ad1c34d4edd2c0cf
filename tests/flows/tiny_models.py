"""The profile ``single-gpu`` with tiny random checkpoints in the place of the published ones, on CPUs.

What stands in the profile stays: backends, pools, which role runs where, prompts, crops and the shape of removals.
Thresholds are opened, since random weights see nothing for certain.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from intercog_model.saving import Weights, save_folder
from intercog_model.training.build import random_debug_models
from tasks.backends.weights import write_lock
from tests.tasks.backends.torch.ram.tiny_ram import write_model
from tests.tasks.backends.torch.tiny_lama import write_tiny_lama
from tests.tasks.backends.torch.tiny_perception import tiny_grounding_dino, tiny_sam

ROOT = Path(__file__).resolve().parents[2]

ANY_TARGET = {
    "min_score": 0.0,
    "min_mask_score": 0.0,
    "min_area_share": 0.0,
    "max_area_share": 1.0,
    "min_side_px": 4,
    "max_borders": 4,
    "min_fill": 0.0,
    "max_fill": 1.0,
    "min_largest_component": 0.0,
    "contested_margin": 0.0,
    "mask_checks": False,
    "max_targets": 3,
}
ANY_EDIT = {
    "max_region_share": 1.0,
    "min_change": 0.0,
    "min_effect": 0.0,
    "max_leak": 1000.0,
    "max_seam_share": 1.0,
    "max_color_seam_share": 1.0,
}


def write_checkpoints(folder: Path) -> dict[str, dict[str, Any]]:
    """Tiny checkpoints with lock files for all roles that PyTorch answers; the options of each role."""
    torch.manual_seed(0)
    bagel, vae = random_debug_models()
    torch.nn.init.normal_(bagel.llm2vae.weight, std=0.1)  # at zero no question would change the picture
    save_folder(Weights.of(bagel.state_dict()), bagel.config, vae, folder / "bagel")
    (folder / "bagel" / "intercog.json").write_text('{"flavor": "debug"}', encoding="utf-8")
    write_lock(folder / "bagel", "random")
    device = {"device": "cpu"}
    return {
        "tagger": {**write_model(folder / "ram"), "threshold_scale": 0.01},
        "detector": {
            "weights": str(_locked(tiny_grounding_dino(folder / "dino", seed=1))),
            "box_threshold": 0.0,
            **device,
        },
        "segmenter": {"weights": str(_locked(tiny_sam(folder / "sam", seed=1))), **device},
        "inpainter": {"weights": str(write_tiny_lama(folder / "lama" / "big-lama.pt")), **device},
        "editor": {"weights": str(folder / "bagel"), "dtype": "float32", "points": 3, **device},
    }


def tiny_profile(
    options: Mapping[str, Mapping[str, Any]], servers: Mapping[str, Any], **execution: Any
) -> dict[str, Any]:
    """The profile as a tree, to be written to a file.

    Args:
        options: of `write_checkpoints`.
        servers: settings of ``vlm`` and ``text``.
        execution: settings of the execution.
    """
    tree: dict[str, Any] = yaml.safe_load(
        (ROOT / "deploy/profiles/single-gpu.yaml").read_text(encoding="utf-8")
    )
    tree["sources"] = [{"uri": "given by an argument"}]
    tree["servers"] = dict(servers)
    for pool in tree["pools"].values():
        pool |= {"gpu_gb": 0, "cpus": 0}
    for stage, roles in (
        ("grounding", ("tagger", "detector", "segmenter")),
        ("editing", ("editor", "inpainter", "detector", "segmenter")),
    ):
        for role in roles:
            section = tree[stage][role]
            tree[stage][role] = {**section, "options": {**section.get("options", {}), **options[role]}}
    tree["grounding"] |= {"object_score": 0.0, "max_objects": 6, "target": ANY_TARGET, "unit_size": 1}
    tree["instruction"] |= {
        "gates": ["schema"],
        "min_agreement": 0.0,
        "tries": 1,
        "rewrite_tries": 1,
        "weights": {"Remove": 2, "Color": 2, "Replace": 1, "Add": 1, "Action": 1},
    }
    tree["editing"] |= {"gates": ANY_EDIT, "min_accuracy": 1.0, "min_seamlessness": 1.0, "unit_size": 2}
    tree["editing"]["removal"] |= {"gates": ["change"], "max_things": 1.0, "max_overlap": 1.0}
    tree["execution"] = {"prefect": False, "workers": 1, "local_gpus": 0, "min_free_bytes": 1, **execution}
    return tree


def _locked(folder: Path) -> Path:
    write_lock(folder, "random")
    return folder
