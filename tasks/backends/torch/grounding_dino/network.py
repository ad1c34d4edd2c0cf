"""The network: pictures and captions in, logits and boxes out; several captions of a picture share its features.

Shapes: U pictures, P pairs of a picture and a caption, Q queries, T token positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from tasks.backends.torch.checkpoints import load_pretrained
from tasks.backends.torch.grounding_dino.captions import SPECIAL_TOKENS, Caption
from tasks.backends.torch.model_types import model_type, transformers_class
from tasks.backends.torch.picture_input import read_preprocessing
from tasks.records.errors import ModelUnavailable

CLASSES = {
    "grounding-dino": "GroundingDinoForObjectDetection",
    "mm-grounding-dino": "MMGroundingDinoForObjectDetection",
}
"""``model_type`` of a folder to the class of transformers; LLMDet is of the second type."""


class SharedBackbone(nn.Module):
    """Runs a backbone once per picture and hands its features to every pair about that picture.

    The model's forward pass takes as many pictures as captions and would compute equal features again for each.

    Args:
        backbone: gives (features and masks by level, position embeddings by level).

    Attributes:
        owners: index of the picture of each pair; set before each forward pass.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.owners: tuple[int, ...] = ()

    @property
    def position_embedding(self) -> nn.Module:
        """Of the backbone; the model asks for it at its coarsest level."""
        return cast("nn.Module", self.backbone.position_embedding)

    def forward(
        self, pixel_values: Tensor, pixel_mask: Tensor
    ) -> tuple[list[tuple[Tensor, Tensor]], list[Tensor]]:
        """Features of all pairs.

        Args:
            pixel_values: (U, 3, H, W).
            pixel_mask: (P, H, W), equal for pairs of one picture.
        """
        firsts = [self.owners.index(picture) for picture in range(len(pixel_values))]
        features, positions = self.backbone(pixel_values, pixel_mask[firsts])
        index = torch.tensor(self.owners, device=pixel_values.device)
        return [(found[index], mask[index]) for found, mask in features], [each[index] for each in positions]


def phrase_positions(ids: Tensor) -> Tensor:
    """Position of each token within its phrase, the separator that ends the phrase included (P, T).

    Both models were trained so. transformers 5.19 counts every separator as position 0, which no version before 5 did
    and which changes all features of the text.

    Args:
        ids: (P, T), padded with zeros.
    """
    places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    special = torch.isin(ids, torch.tensor(list(SPECIAL_TOKENS.values()), device=ids.device))
    before = torch.where(special, places, -1).cummax(dim=1).values.roll(1, dims=1)
    before[:, 0] = -1
    return torch.where(ids != 0, places - before - 1, 0)


class _PhrasePositions:
    """Hands `phrase_positions` to the two modules of a model that take positions of tokens.

    Args:
        model: with ``text_backbone`` and ``encoder``; both are hooked.
    """

    def __init__(self, model: Any) -> None:
        self._positions: Tensor | None = None
        model.text_backbone.register_forward_pre_hook(self._of_text, with_kwargs=True)
        model.encoder.register_forward_pre_hook(self._of_encoder, with_kwargs=True)

    def _of_text(self, module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        del module
        ids, mask, kinds, _, *others = given
        self._positions = phrase_positions(ids)
        return (ids, mask, kinds, self._positions, *others), named

    def _of_encoder(self, module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        del module
        assert self._positions is not None
        # transformers 5.19 casts the sine embedding to the type of the positions: of integers, -1, 0 and 1 are left.
        positions = self._positions.to(named["text_features"].dtype)
        return given, {**named, "text_position_ids": positions}


class GroundingNetwork:
    """A loaded model with its tokenizer.

    Args:
        folder: in the layout of transformers, with safetensors and tokenizer.
        device: where it runs.
        dtype: of the weights in use.
        length: token positions of every caption, T.

    Raises:
        ModelUnavailable: it cannot be loaded, or its tokenizer or its text limit is another than expected.
    """

    def __init__(self, folder: Path, *, device: str, dtype: str, length: int) -> None:
        kind = model_type(folder, CLASSES)
        model = load_pretrained(transformers_class(CLASSES[kind], "grounding-dino"), folder, dtype)
        if model.config.max_text_len < length:
            msg = f"{folder}: captions of at most {model.config.max_text_len} tokens (option caption_tokens={length})"
            raise ModelUnavailable(msg)
        self._backbone = SharedBackbone(model.model.backbone)
        model.model.backbone = self._backbone
        _PhrasePositions(model.model)
        self._model = model.to(device)
        self._tokenizer = _tokenizer(folder)
        self._device, self._dtype, self._length = device, getattr(torch, dtype), length
        self.preprocessing = read_preprocessing(folder, ("shortest_edge", "longest_edge"))

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
        """One forward pass.

        Args:
            pictures: (U, 3, H, W) float32, normalized and padded.
            sizes: (height, width) of each picture without its padding.
            owners: picture of each pair.
            captions: of each pair.

        Returns:
            Logits (P, Q, T') float32, -inf where the caption has no token, and boxes (P, Q, 4) float32: center x and
            y, width and height as shares of the picture without its padding.
        """
        masks = torch.zeros((len(pictures), *pictures.shape[2:]), dtype=torch.long, device=self._device)
        for mask, (height, width) in zip(masks, sizes, strict=True):
            mask[:height, :width] = 1
        # All captions are padded to one length, so that an answer does not depend on its neighbors' captions.
        ids = torch.zeros((len(captions), self._length), dtype=torch.long)
        for row, caption in zip(ids, captions, strict=True):
            row[: len(caption.ids)] = torch.tensor(caption.ids)
        ids = ids.to(self._device)
        self._backbone.owners = tuple(owners)
        output: Any = self._model(
            pixel_values=pictures.to(self._dtype),
            pixel_mask=masks[list(owners)],
            input_ids=ids,
            attention_mask=(ids != 0).long(),
        )
        return output.logits.float(), output.pred_boxes.float()


def _tokenizer(folder: Path) -> Any:
    try:
        tokenizer = transformers_class("AutoTokenizer", "grounding-dino").from_pretrained(
            folder, local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        first = str(error).strip().partition("\n")[0]
        raise ModelUnavailable(f"{folder}: no tokenizer: {first}") from error
    found = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    if found != SPECIAL_TOKENS:
        raise ModelUnavailable(f"{folder}: the tokenizer has {found}, the model knows {SPECIAL_TOKENS}")
    return tokenizer
