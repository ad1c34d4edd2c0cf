"""The network of groundingdino-py behind the interface of the others, its sizes read from its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor

from tasks.backends.torch.checkpoints import fill, read_tensors
from tasks.backends.torch.grounding_dino.captions import SPECIAL_TOKENS, Caption
from tasks.backends.torch.picture_input import Preprocessing
from tasks.records.errors import ModelUnavailable

BACKBONES = {96: "swin_T_224_1k", 128: "swin_B_384_22k"}
"""Width of the patch embedding to the package's name of the backbone."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the three channels, for values 0..1, as the package's own scripts have them."""

PUBLISHED: Mapping[str, Any] = {
    "modelname": "groundingdino",
    "position_embedding": "sine",
    "pe_temperatureH": 20,
    "pe_temperatureW": 20,
    "return_interm_indices": [1, 2, 3],
    "backbone_freeze_keywords": None,
    "pre_norm": False,
    "dropout": 0.0,
    "nheads": 8,
    "query_dim": 4,
    "num_patterns": 0,
    "num_feature_levels": 4,
    "enc_n_points": 4,
    "dec_n_points": 4,
    "two_stage_type": "standard",
    "two_stage_bbox_embed_share": False,
    "two_stage_class_embed_share": False,
    "transformer_activation": "relu",
    "dec_pred_bbox_embed_share": True,
    "dn_box_noise_scale": 1.0,
    "dn_label_noise_ratio": 0.5,
    "dn_labelbook_size": 2000,
    "embed_init_tgt": True,
    "max_text_len": 256,
    "use_text_enhancer": True,
    "use_fusion_layer": True,
    "use_checkpoint": False,
    "use_transformer_ckpt": False,
    "use_text_cross_attention": True,
    "text_dropout": 0.0,
    "fusion_dropout": 0.0,
    "fusion_droppath": 0.1,
    "sub_sentence_present": True,
}
"""What both published configurations state and no tensor's shape tells; checkpointing is for training."""


class PackagedNetwork:
    """A published checkpoint, Swin-T or Swin-B.

    Args:
        path: a ``.pth`` or ``.safetensors`` file with the package's names.
        text_encoder: folder of the BERT that it was trained with.
        device: where it runs.
        size: of pictures, as `Preprocessing.size`.

    Raises:
        ModelUnavailable: the package or the text encoder is missing, or the file holds another model.
    """

    def __init__(self, path: Path, text_encoder: Path, *, device: str, size: Mapping[str, int]) -> None:
        self.preprocessing = Preprocessing(size=size, mean=MEAN, std=STD)
        build_model, self._nested = _package()
        tensors = {_plain(name): tensor for name, tensor in read_tensors(path).items()}
        if not (text_encoder / "config.json").is_file():
            raise ModelUnavailable(f"{text_encoder}: no folder of a text encoder (option text_encoder)")
        try:
            sizes = _sizes(tensors)
        except (KeyError, IndexError, ValueError) as error:
            msg = f"{path}: not a checkpoint of GroundingDINO ({type(error).__name__}: {error})"
            raise ModelUnavailable(msg) from error
        try:
            model = build_model(
                SimpleNamespace(**PUBLISHED, **sizes, text_encoder_type=str(text_encoder), device=device)
            )
        except (OSError, ValueError, RuntimeError) as error:
            first = str(error).strip().partition("\n")[0]
            raise ModelUnavailable(f"{text_encoder}: cannot be loaded as text encoder: {first}") from error
        fill(model, _with_computed(tensors, model.state_dict()), path)
        self._tokenizer = model.tokenizer
        found = {token: self._tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
        if found != SPECIAL_TOKENS:
            raise ModelUnavailable(
                f"{text_encoder}: the tokenizer has {found}, the model knows {SPECIAL_TOKENS}"
            )
        self._model = model.to(device).eval()
        self._device = device

    def encode(self, text: str) -> Sequence[int]:
        """Token ids of a text, without special tokens."""
        return cast("Sequence[int]", self._tokenizer.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        return cast("str", self._tokenizer.decode(list(ids))).strip()

    @torch.inference_mode()
    def __call__(
        self,
        pictures: Tensor,
        sizes: Sequence[tuple[int, int]],
        owners: Sequence[int],
        captions: Sequence[Caption],
    ) -> tuple[Tensor, Tensor]:
        """See `tasks.backends.torch.grounding_dino.network.GroundingNetwork`."""
        outside = torch.ones((len(pictures), *pictures.shape[2:]), dtype=torch.bool, device=self._device)
        for mask, (height, width) in zip(outside, sizes, strict=True):
            mask[:height, :width] = False
        # One pair at a time: the package hands the attention masks of a batch's captions to the wrong captions.
        found = []
        for owner, caption in zip(owners, captions, strict=True):
            one = slice(owner, owner + 1)
            output: Mapping[str, Tensor] = self._model(
                self._nested(pictures[one], outside[one]), captions=[caption.text]
            )
            found.append((output["pred_logits"][0], output["pred_boxes"][0]))
        return torch.stack([logits for logits, _ in found]), torch.stack([boxes for _, boxes in found])


def _package() -> tuple[Any, Any]:
    """Its function that builds a model, and its type of a padded batch."""
    try:
        from groundingdino.models import build_model  # noqa: PLC0415 - only this backend needs it
        from groundingdino.util.misc import NestedTensor  # noqa: PLC0415
    except (
        ImportError,
        RuntimeError,
        OSError,
    ) as error:  # torchvision for another torch raises what it likes
        msg = (
            "the backend groundingdino-py needs that package, which needs transformers 4: an environment "
            f"of its own (pip install 'groundedit[groundingdino-py]', pools.NAME.python): {error}"
        )
        raise ModelUnavailable(msg) from error
    return build_model, NestedTensor


def _plain(name: str) -> str:
    """Published files were saved from a model that was wrapped for several GPUs."""
    return name.removeprefix("module.")


def _sizes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    return {
        "backbone": BACKBONES[shapes["backbone.0.patch_embed.proj.weight"][0]],
        "enc_layers": _count(shapes, "transformer.encoder.layers."),
        "dec_layers": _count(shapes, "transformer.decoder.layers."),
        "dim_feedforward": shapes["transformer.encoder.layers.0.linear1.weight"][0],
        "hidden_dim": shapes["transformer.level_embed"][1],
        "num_queries": shapes["transformer.tgt_embed.weight"][0],
    }


def _count(shapes: Mapping[str, tuple[int, ...]], prefix: str) -> int:
    """How many numbered modules stand below a name."""
    return len({name.removeprefix(prefix).partition(".")[0] for name in shapes if name.startswith(prefix)})


def _with_computed(tensors: Mapping[str, Tensor], built: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with the index tables that a model computes by itself, which files may or may not hold."""
    found = {name: tensor for name, tensor in tensors.items() if not name.endswith("position_ids")}
    return {
        name: tensor for name, tensor in built.items() if name.endswith("relative_position_index")
    } | found
