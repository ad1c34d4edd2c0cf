"""A tiny GroundingDINO under the names of the package groundingdino-py: one set of weights for two implementations."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel

from tasks.backends.weights import write_lock
from tests.tasks.backends.torch.tiny_perception import tiny_grounding_dino

SWIN = r"model\.backbone\.conv_encoder\.model\."
BLOCK = rf"{SWIN}encoder\.layers\.(\d+)\.blocks\.(\d+)\."
OWN_BLOCK = r"backbone.0.layers.\1.blocks.\2."
ENCODER, DECODER = r"model\.encoder\.layers\.(\d+)\.", r"model\.decoder\.layers\.(\d+)\."

NAMES = (
    (rf"{SWIN}embeddings\.patch_embeddings\.projection", "backbone.0.patch_embed.proj"),
    (rf"{SWIN}embeddings\.norm", "backbone.0.patch_embed.norm"),
    (rf"{BLOCK}attention\.self\.relative", f"{OWN_BLOCK}attn.relative"),
    (rf"{BLOCK}attention\.self\.", f"{OWN_BLOCK}attn."),
    (rf"{BLOCK}attention\.output\.dense", f"{OWN_BLOCK}attn.proj"),
    (rf"{BLOCK}intermediate\.dense", f"{OWN_BLOCK}mlp.fc1"),
    (rf"{BLOCK}output\.dense", f"{OWN_BLOCK}mlp.fc2"),
    (rf"{BLOCK}layernorm_before", f"{OWN_BLOCK}norm1"),
    (rf"{BLOCK}layernorm_after", f"{OWN_BLOCK}norm2"),
    (rf"{SWIN}encoder\.layers\.", "backbone.0.layers."),
    (rf"{SWIN}hidden_states_norms\.stage2", "backbone.0.norm1"),
    (rf"{SWIN}hidden_states_norms\.stage3", "backbone.0.norm2"),
    (rf"{SWIN}hidden_states_norms\.stage4", "backbone.0.norm3"),
    (rf"{ENCODER}deformable_layer\.self_attn_layer_norm", r"transformer.encoder.layers.\1.norm1"),
    (rf"{ENCODER}deformable_layer\.final_layer_norm", r"transformer.encoder.layers.\1.norm2"),
    (rf"{ENCODER}deformable_layer\.fc(\d)", r"transformer.encoder.layers.\1.linear\2"),
    (rf"{ENCODER}deformable_layer\.", r"transformer.encoder.layers.\1."),
    (rf"{ENCODER}text_enhancer_layer\.layer_norm_before", r"transformer.encoder.text_layers.\1.norm1"),
    (rf"{ENCODER}text_enhancer_layer\.layer_norm_after", r"transformer.encoder.text_layers.\1.norm2"),
    (rf"{ENCODER}text_enhancer_layer\.fc(\d)", r"transformer.encoder.text_layers.\1.linear\2"),
    (rf"{ENCODER}text_enhancer_layer\.", r"transformer.encoder.text_layers.\1."),
    (rf"{ENCODER}fusion_layer\.vision_param", r"transformer.encoder.fusion_layers.\1.gamma_v"),
    (rf"{ENCODER}fusion_layer\.text_param", r"transformer.encoder.fusion_layers.\1.gamma_l"),
    (rf"{ENCODER}fusion_layer\.(.*)", r"transformer.encoder.fusion_layers.\1.\2"),
    (rf"{DECODER}encoder_attn_text_layer_norm", r"transformer.decoder.layers.\1.catext_norm"),
    (rf"{DECODER}encoder_attn_text\.", r"transformer.decoder.layers.\1.ca_text."),
    (rf"{DECODER}encoder_attn_layer_norm", r"transformer.decoder.layers.\1.norm1"),
    (rf"{DECODER}encoder_attn\.", r"transformer.decoder.layers.\1.cross_attn."),
    (rf"{DECODER}self_attn_layer_norm", r"transformer.decoder.layers.\1.norm2"),
    (rf"{DECODER}final_layer_norm", r"transformer.decoder.layers.\1.norm3"),
    (rf"{DECODER}fc(\d)", r"transformer.decoder.layers.\1.linear\2"),
    (r"model\.decoder\.layer_norm", "transformer.decoder.norm"),
    (r"model\.decoder\.reference_points_head", "transformer.decoder.ref_point_head"),
    (r"model\.decoder\.", "transformer.decoder."),
    (r"model\.encoder_output_bbox_embed", "transformer.enc_out_bbox_embed"),
    (r"model\.enc_output", "transformer.enc_output"),
    (r"model\.query_position_embeddings", "transformer.tgt_embed"),
    (r"model\.level_embed", "transformer.level_embed"),
    (r"model\.input_proj_vision", "input_proj"),
    (r"model\.text_projection", "feat_map"),
    (r"model\.text_backbone", "bert"),
)
"""Beginnings of names in transformers to those in the package; the first that fits counts."""

FUSED = (
    (r"(backbone\..*\.attn)\.(query|key|value)\.(weight|bias)", r"\1.qkv.\3"),
    (r"(transformer\..*\.(?:self_attn|ca_text))\.(query|key|value)\.(weight|bias)", r"\1.in_proj_\3"),
)
"""Query, key and value are one tensor in the package, except in BERT."""

PARTS = ("query", "key", "value")

SWIN_T = {
    "model_type": "swin",
    "image_size": 224,
    "embed_dim": 96,
    "depths": [2, 2, 6, 2],
    "num_heads": [3, 6, 12, 24],
    "window_size": 7,
    "out_indices": [2, 3, 4],
}
"""The smallest backbone that the package knows."""


@dataclass(frozen=True, kw_only=True)
class Files:
    """Equal weights for both implementations.

    Attributes:
        folder: for transformers.
        file: for the package.
        text_encoder: folder of the BERT that the package wants beside its file.
    """

    folder: Path
    file: Path
    text_encoder: Path


def converted_files(root: Path) -> Files:
    """Random weights with the package's sizes where these are fixed, and few layers."""
    sizes = dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), 64)
    heads = dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 8)
    folder = tiny_grounding_dino(root / "folder", backbone_config=SWIN_T, d_model=256, **sizes, **heads)
    tensors = converted(load_file(folder / "model.safetensors"))
    tensors |= {f"bert.pooler.dense.{name}": torch.zeros(shape) for name, shape in POOLER.items()}
    file = root / "groundingdino_tiny.pth"
    # As the published files are laid out.
    torch.save({"model": {f"module.{name}": tensor for name, tensor in tensors.items()}}, file)
    write_lock(file, "tiny random")
    text_encoder = root / "bert"
    config = BertConfig.from_dict(_text_config(folder))
    BertModel(config).save_pretrained(text_encoder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / name, text_encoder)
    return Files(folder=folder, file=file, text_encoder=text_encoder)


POOLER = {"weight": (32, 32), "bias": (32,)}
"""Shapes of a layer that the package loads and never uses."""


def converted(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors under the package's names, without a layer norm that nobody uses."""
    found: dict[str, torch.Tensor] = {}
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if "swin.layernorm" in name:
            continue
        new = _renamed(name)
        fused = [(re.fullmatch(pattern, new), target) for pattern, target in FUSED]
        match, target = next(((m, t) for m, t in fused if m), (None, ""))
        if match:
            parts.setdefault(match.expand(target), {})[match[2]] = tensor
        else:
            found[new] = tensor
    found |= {name: torch.cat([three[part] for part in PARTS]) for name, three in parts.items()}
    # The box head is one module under three names and for each decoder layer.
    head = {name: tensor for name, tensor in found.items() if name.startswith("bbox_embed.0.")}
    layers = len({name.split(".")[3] for name in found if name.startswith("transformer.decoder.layers.")})
    for layer in range(layers):
        for name, tensor in head.items():
            own = name.replace("bbox_embed.0.", f"bbox_embed.{layer}.")
            found |= {own: tensor, f"transformer.decoder.{own}": tensor}
    return found


def _renamed(name: str) -> str:
    for pattern, new in NAMES:
        found, count = re.subn(f"^{pattern}", new, name)
        if count:
            break
    else:
        found = name
    if ".fusion_layers." in found:  # sides are called by one letter there
        found = re.sub(r"(?<=_)vision\b|\bvision(?=_)|(?<=_)vision(?=_)", "v", found)
        found = re.sub(r"(?<=_)text\b|\btext(?=_)|(?<=_)text(?=_)", "l", found)
    return found


def _text_config(folder: Path) -> dict[str, object]:
    return dict(json.loads((folder / "config.json").read_text())["text_config"])
