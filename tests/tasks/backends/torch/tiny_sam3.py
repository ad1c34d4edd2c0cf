"""A tiny random SAM 3 checkpoint in the published layout: one folder for the detector and the tracker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoModel, CLIPTokenizer
from transformers.models.auto import CONFIG_MAPPING
from transformers.models.sam3.configuration_sam3 import Sam3Config
from transformers.models.sam3.modeling_sam3 import Sam3Model
from transformers.models.sam3_video.configuration_sam3_video import Sam3VideoConfig
from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoModel

from tasks.backends.torch.sam3.loading import register_parts
from tasks.backends.weights import write_lock

SIDE, PATCH, WIDTH = 56, 14, 16
"""Of the network's square input, its patches, and of its layers."""


def tiny_sam3(folder: Path, seed: int = 0) -> Path:
    """Writes model, tokenizer and lock file; returns the folder."""
    torch.manual_seed(seed)
    register_parts()
    AutoModel.register(Sam3Config, Sam3Model, exist_ok=True)
    model = Sam3VideoModel(Sam3VideoConfig(detector_config=_detector(), tracker_config=_tracker()))
    _spread(model)
    folder.mkdir(parents=True)
    model.config.save_pretrained(folder)
    # Not by `save_pretrained`: transformers 5.19 writes the tracker's prefix twice.
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    tiny_clip_tokenizer().save_pretrained(folder)
    write_lock(folder, "random")
    return folder


def tiny_clip_tokenizer() -> CLIPTokenizer:
    """Knows single bytes only, so that any text can be read."""
    symbols = _byte_symbols()
    words = [*symbols, *(f"{symbol}</w>" for symbol in symbols), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[])


def _byte_symbols() -> list[str]:
    """The 256 letters in which byte-level tokenizers write bytes: printable ones as they are, others moved up."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in plain] + [chr(256 + n) for n in range(256 - len(plain))]


def _spread(model: torch.nn.Module) -> None:
    """Weights large enough that different pictures and phrases have different answers."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.dim() > 1 or name.endswith("bias"):
                value.normal_(std=0.5 if value.dim() > 1 else 0.1)


def _vision() -> dict[str, Any]:
    grid = SIDE // PATCH
    backbone = {
        "model_type": "sam3_vit_model",
        "hidden_size": WIDTH,
        "intermediate_size": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SIDE,
        "patch_size": PATCH,
        "window_size": 2,
        "global_attn_indexes": [1],
        "layer_scale_init_value": 1.0,
        "pretrain_image_size": SIDE // 2,
    }
    return {
        "model_type": "sam3_vision_model",
        "backbone_config": backbone,
        "fpn_hidden_size": WIDTH,
        "backbone_feature_sizes": [[4 * grid] * 2, [2 * grid] * 2, [grid] * 2],
    }


def _detector() -> dict[str, Any]:
    part = {"hidden_size": WIDTH, "num_attention_heads": 2}
    layers = {**part, "num_layers": 2, "intermediate_size": WIDTH}
    text = {
        "model_type": "clip_text_model",
        "vocab_size": 514,
        "hidden_size": WIDTH,
        "intermediate_size": WIDTH,
        "projection_dim": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 32,
        "hidden_act": "gelu",
        "bos_token_id": 512,
        "eos_token_id": 513,
        "pad_token_id": 513,
    }
    return {
        "model_type": "sam3",
        "vision_config": _vision(),
        "text_config": text,
        "geometry_encoder_config": layers,
        "detr_encoder_config": layers,
        "detr_decoder_config": {**layers, "num_queries": 9},
        "mask_decoder_config": part,
    }


def _tracker() -> Any:
    grid = SIDE // PATCH
    config = {
        "vision_config": _vision(),
        "prompt_encoder_config": {"hidden_size": WIDTH, "image_size": SIDE, "patch_size": PATCH},
        "mask_decoder_config": {
            "hidden_size": WIDTH,
            "mlp_dim": WIDTH,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": WIDTH,
        },
        "memory_attention_hidden_size": WIDTH,
        "memory_attention_num_layers": 1,
        "memory_attention_feed_forward_hidden_size": WIDTH,
        "memory_attention_rope_feat_sizes": [grid, grid],
        "memory_encoder_hidden_size": WIDTH,
        "memory_encoder_output_channels": 8,
        "mask_downsampler_embed_dim": WIDTH,
        "memory_fuser_num_layers": 1,
        "memory_fuser_embed_dim": WIDTH,
        "memory_fuser_intermediate_dim": WIDTH,
        "image_size": SIDE,
    }
    return CONFIG_MAPPING["sam3_tracker_video"](**config)
