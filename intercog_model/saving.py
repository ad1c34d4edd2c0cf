"""Writing model folders in the layout of BAGEL-7B-MoT: weights tensor by tensor, and the small files beside them."""

import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import Bagel
from intercog_model.checkpoint import MODEL_FILE, VAE_FILE, CheckpointError, Shapes, differences, shapes_of
from intercog_model.config import BagelConfig

TYPES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
"""Names of types in a safetensors header."""
INDEX_FILE = "model.safetensors.index.json"
PUBLISHED_VIT_LAYERS = 27
"""As the published files count them; 26 are built, and vLLM takes one off this very number alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Tensors that are read one at a time."""

    shapes: Shapes
    types: Mapping[str, torch.dtype]  # that they are stored in
    read: Callable[[str], Tensor]

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Weights":
        """Those at hand, each in its own type."""
        return cls(
            shapes={name: list(value.shape) for name, value in tensors.items()},
            types={name: value.dtype for name, value in tensors.items()},
            read=lambda name: tensors[name].detach(),
        )


def write_weights(weights: Weights, path: Path) -> Path:
    """A safetensors file, its header first and then each tensor as it is read; renamed into place when whole.

    Host memory holds one tensor, and once more what of it is turned to another type.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name, shape in weights.shapes.items():
        size = math.prod(shape) * weights.types[name].itemsize
        header[name] = {
            "dtype": TYPES[weights.types[name]],
            "shape": shape,
            "data_offsets": [place, place + size],
        }
        place += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name, kind in weights.types.items():
            value = weights.read(name).to(kind).cpu().contiguous()
            file.write(value.reshape(-1).view(torch.uint8).numpy().data)
            del value  # before the next one is read
    temporary.replace(path)
    return path


def save_model(weights: Weights, config: BagelConfig, folder: Path) -> Path:
    """Write `ema.safetensors` with exactly the published names, and its index; CheckpointError for others."""
    with torch.device("meta"):
        expected = shapes_of(Bagel(config))
    faults = differences(expected, weights.shapes)
    if faults:
        raise CheckpointError("not a main checkpoint: " + "; ".join(faults))
    path = write_weights(weights, folder / MODEL_FILE)
    size = sum(math.prod(weights.shapes[name]) * kind.itemsize for name, kind in weights.types.items())
    index = {
        "metadata": {"total_size": size},
        "weight_map": dict.fromkeys(sorted(weights.shapes), MODEL_FILE),
    }
    _write_json(folder / INDEX_FILE, index)
    return path


def save_folder(weights: Weights, config: BagelConfig, vae: AutoEncoder | Path, folder: Path) -> None:
    """A folder that this package, BAGEL's own code and vLLM open, but for its tokenizer.

    `vae` is an autoencoder, or the file of one, which is copied.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kind = next(iter(weights.types.values()))
    llm, vit = _language_json(config), _vit_json(config)
    _write_json(folder / "llm_config.json", llm)
    _write_json(folder / "vit_config.json", vit)
    _write_json(folder / "config.json", _config_json(config, llm, vit, kind))
    _write_json(folder / "generation_config.json", {**_text_ends(config), "do_sample": False})
    _write_json(folder / "preprocessor_config.json", _preprocessor_json(config))
    if isinstance(vae, Path):
        shutil.copyfile(vae, folder / VAE_FILE)
    else:
        write_weights(Weights.of(vae.state_dict()), folder / VAE_FILE)
    save_model(weights, config, folder)


def _language_json(config: BagelConfig) -> dict[str, Any]:
    """A configuration of the plain language model, as it is published: nothing of two experts or QK norm in it."""
    rotary = {"rope_type": "default", "rope_theta": config.llm.rope_theta}
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "rope_parameters": rotary,
        **asdict(config.llm),
        **_text_ends(config),
    }


def _vit_json(config: BagelConfig) -> dict[str, Any]:
    vit = {"model_type": "siglip_vision_model", **asdict(config.vit)}
    vit["num_hidden_layers"] += 1  # the published file counts the layer that is left out
    return vit


def _config_json(
    config: BagelConfig, llm: dict[str, Any], vit: dict[str, Any], kind: torch.dtype
) -> dict[str, Any]:
    stated = vit["num_hidden_layers"]
    built = stated if stated == PUBLISHED_VIT_LAYERS else config.vit.num_hidden_layers
    return {
        "architectures": ["BagelForConditionalGeneration"],
        "model_type": "bagel",
        "torch_dtype": str(kind).removeprefix("torch."),
        "visual_gen": True,
        "visual_und": True,
        "llm_config": {**llm, "qk_norm": True},
        "vit_config": {**vit, "num_hidden_layers": built},
        "vae_config": {"z_channels": config.vae.z_channels, "downsample": config.vae.downsample},
        "latent_patch_size": config.latent_patch_size,
        "max_latent_size": config.max_latent_size,
        "vit_max_num_patch_per_side": config.vit.side,
        "connector_act": "gelu_pytorch_tanh",
        "interpolate_pos": config.interpolate_positions,
        "timestep_shift": 1.0,
    }


def _text_ends(config: BagelConfig) -> dict[str, Any]:
    return {"bos_token_id": config.tokens.text_start, "eos_token_id": config.tokens.text_end}


def _preprocessor_json(config: BagelConfig) -> dict[str, Any]:
    side = config.vit.image_size
    return {
        "image_processor_type": "SiglipImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": side, "width": side},
        "resample": 3,  # bicubic
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }


def _write_json(path: Path, tree: Any) -> None:
    path.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
