"""Tiny random checkpoints of detectors and segmenters, in the layout of the published ones; made offline in a second.

Each function writes a folder (configuration, safetensors, preprocessing, tokenizer) and its lock file, and returns the
folder. Equal seeds give equal weights. Their answers are nonsense that depends on picture and words.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    BertTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    MMGroundingDinoConfig,
    MMGroundingDinoForObjectDetection,
    Sam2Config,
    Sam2Model,
    SamConfig,
    SamHQConfig,
    SamHQModel,
    SamModel,
)

from tasks.backends.weights import write_lock

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}

_WORDS = (
    "apple backpack bag ball banana basket bed bench bicycle bike bird blue boat book bottle bowl box bread bus cake "
    "camera car cat ceiling chair child clock cloud coffee couch cow cup curtain desk dog door drawer face fence floor "
    "flower fork glass green hat horse house jacket keyboard knife lady lamp laptop light man mirror mouse mug orange "
    "paper pen person phone picture pillow plant plate pot red road saucer screen shelf shirt shoe sky sofa spoon "
    "table tie train tree truck umbrella vase wall watch window woman"
)
NOUNS = tuple(_WORDS.split())
"""Words that are one token each; all others are spelled in letters."""


def tiny_grounding_dino(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A `GroundingDinoForObjectDetection`; ``changes`` go into its configuration."""
    config = GroundingDinoConfig(**{**_dino_sizes(), **changes})
    model = randomize(GroundingDinoForObjectDetection(config), seed)
    # Scores are plain dot products of two normalized vectors here; unscaled, all of them would be 0 or 1.
    nn.init.constant_(model.model.decoder.layer_norm.weight, 2 / config.d_model**0.5)
    return _save_dino(model, folder)


def tiny_mm_grounding_dino(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """An `MMGroundingDinoForObjectDetection` (MM-GroundingDINO, LLMDet)."""
    config = MMGroundingDinoConfig(**{**_dino_sizes(), **changes})
    return _save_dino(randomize(MMGroundingDinoForObjectDetection(config), seed), folder)


def tiny_sam(folder: Path, seed: int = 0, side: int = 128) -> Path:
    """A `SamModel` for pictures of ``side`` pixels; windows do not divide its grid, as in the published ones."""
    model = SamModel(SamConfig(**_sam_sizes(side)))
    return _save_sam(model, folder, seed, _padded(side), iou_bias=0.9)


def tiny_sam_hq(folder: Path, seed: int = 0, side: int = 128) -> Path:
    """A `SamHQModel`."""
    sizes = _sam_sizes(side)
    sizes["mask_decoder_config"]["vit_dim"] = sizes["vision_config"]["hidden_size"]
    return _save_sam(SamHQModel(SamHQConfig(**sizes)), folder, seed, _padded(side), iou_bias=0.9)


def tiny_sam2(folder: Path, seed: int = 0, side: int = 128) -> Path:
    """A `Sam2Model`; pictures are stretched to ``side`` x ``side``."""
    backbone = {
        "hidden_size": 8,
        "image_size": [side, side],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [4, 4, 4, 2],
        "global_attention_blocks": [3],
        "window_positional_embedding_background_size": [4, 4],
        "mlp_ratio": 2.0,
    }
    vision = {
        "backbone_config": backbone,
        "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": [[side // step, side // step] for step in (4, 8, 16)],
        "fpn_hidden_size": 32,
    }
    config = Sam2Config(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 32, "image_size": side, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 32,
            "mlp_dim": 32,
            "num_attention_heads": 8,
            "iou_head_hidden_dim": 32,
        },
    )
    size = {"size": {"height": side, "width": side}, "image_processor_type": "Sam2ImageProcessorFast"}
    return _save_sam(Sam2Model(config), folder, seed, size, iou_bias=3.0)


def randomize(model: nn.Module, seed: int) -> Any:
    """Fills all parameters and random buffers from a seed so that every layer passes on what it sees."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim >= 2 and "embed" not in name.rpartition(".")[0].rpartition(".")[2]:
                noise *= parameter[0].numel() ** -0.5
            elif parameter.ndim < 2:
                noise *= 0.1
                if name.endswith("weight"):
                    noise += 1
            parameter.copy_(noise)
        for name, buffer in sorted(model.named_buffers()):
            if name.endswith("positional_embedding"):  # random frequencies, not trained
                buffer.copy_(torch.randn(buffer.shape, generator=generator))
    return model.eval()


def write_tokenizer(folder: Path) -> None:
    """A BERT tokenizer whose separators have the ids of the published one, since the models know these by number."""
    words = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}
    words |= {1010: ",", 1011: "-", 1012: ".", 1013: "/", 1029: "?"}
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words |= dict(enumerate([*letters, *(f"##{letter}" for letter in letters), *NOUNS], start=1037))
    vocab = {words.get(index, f"[unused{index}]"): index for index in range(max(words) + 1)}
    BertTokenizer(vocab=vocab, model_max_length=512).save_pretrained(folder)


def _dino_sizes() -> dict[str, Any]:
    return {
        "backbone_config": {
            "model_type": "swin",
            "image_size": 64,
            "embed_dim": 8,
            "depths": [1, 1, 1, 1],
            "num_heads": [1, 1, 2, 2],
            "window_size": 2,
            "out_indices": [2, 3, 4],
        },
        "text_config": {
            "model_type": "bert",
            "vocab_size": 1300,
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
    }


def _sam_sizes(side: int) -> dict[str, dict[str, Any]]:
    return {
        "vision_config": {
            "hidden_size": 32,
            "output_channels": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": side,
            "mlp_dim": 32,
            "window_size": 3,
            "global_attn_indexes": [1],
            "num_pos_feats": 16,
        },
        "prompt_encoder_config": {"hidden_size": 32, "image_size": side, "mask_input_channels": 4},
        "mask_decoder_config": {
            "hidden_size": 32,
            "mlp_dim": 32,
            "num_attention_heads": 8,
            "iou_head_hidden_dim": 32,
            # As Meta's decoder has it; transformers' default of 1e-6 moves its logits by some 1e-4 of their size.
            "layer_norm_eps": 1e-5,
        },
    }


def _padded(side: int) -> dict[str, Any]:
    return {
        "size": {"longest_edge": side},
        "pad_size": {"height": side, "width": side},
        "image_processor_type": "SamImageProcessor",
    }


def _save_dino(model: Any, folder: Path) -> Path:
    with torch.no_grad():
        # What all queries see alike must not drown what they bring along, or all of them find the same name.
        for name, parameter in model.model.decoder.layers.named_parameters():
            if name.endswith(("out_proj.weight", "output_proj.weight", "fc2.weight")):
                parameter.mul_(0.3)
        # Boxes grow from the size of anchors to that of objects.
        model.bbox_embed[0].layers[-1].bias[2:] += 1.5
    model.save_pretrained(folder)
    write_tokenizer(folder)
    size = {"shortest_edge": 64, "longest_edge": 112}
    return _finish(folder, {"image_processor_type": "GroundingDinoImageProcessor", "size": size})


def _save_sam(model: Any, folder: Path, seed: int, preprocessing: dict[str, Any], iou_bias: float) -> Path:
    randomize(model, seed)
    with torch.no_grad():  # estimates of a mask's IoU near 0.9, and logits beyond the thresholds of stability
        last = model.mask_decoder.iou_prediction_head.proj_out
        last.weight *= 0.05
        last.bias += iou_bias
        for head in model.mask_decoder.output_hypernetworks_mlps:
            head.proj_out.weight *= 10
    model.save_pretrained(folder)
    return _finish(folder, preprocessing)


def _finish(folder: Path, preprocessing: dict[str, Any]) -> Path:
    text = json.dumps({**IMAGENET, **preprocessing}, indent=2)
    (folder / "preprocessor_config.json").write_text(text + "\n", encoding="utf-8")
    write_lock(folder, "tiny random")
    return folder
