"""Text features of noun phrases, kept over the vocabulary: the same few thousand names come with every picture."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch

from tasks.records.errors import Reason, SampleError


class PhraseFeatures:
    """Features of phrases by the model's text tower, the latest ones remembered on its device.

    Each phrase is padded to the tower's full length, as in training, so its features depend on nothing but itself.

    Args:
        model: `Sam3Model`, on its device.
        tokenizer: CLIP's, from the checkpoint.
        per_forward: phrases in one pass.
        kept: phrases remembered; 32 kB each in float32.
    """

    def __init__(self, model: Any, tokenizer: Any, per_forward: int, kept: int) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._per_forward = per_forward
        self._kept = kept
        self._known: OrderedDict[str, tuple[torch.Tensor, torch.Tensor]] = OrderedDict()
        self.length = int(model.config.text_config.max_position_embeddings)
        self.passes = 0

    def check(self, phrases: Sequence[str]) -> None:
        """Refuses what the text tower cannot read.

        Raises:
            SampleError: ``backend_error`` for an empty phrase, or one of more tokens than the tower has positions.
        """
        for phrase in phrases:
            if phrase in self._known:
                continue
            tokens = len(self._tokenizer(phrase)["input_ids"])
            if not phrase.strip() or tokens > self.length:
                # Cutting it off would find another thing under this name.
                detail = f"a name of {tokens} tokens where 3 to {self.length} can be read"
                raise SampleError(Reason.BACKEND_ERROR, detail)

    @torch.inference_mode()
    def __call__(self, phrases: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (P, L, C) and attention masks (P, L) of phrases that `check` has passed."""
        found = {phrase: self._known[phrase] for phrase in phrases if phrase in self._known}
        new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in found]
        for start in range(0, len(new), self._per_forward):
            part = new[start : start + self._per_forward]
            found.update(zip(part, self._encoded(part), strict=True))
        for phrase in phrases:
            self._known[phrase] = found[phrase]
            self._known.move_to_end(phrase)
        while len(self._known) > self._kept:
            self._known.popitem(last=False)
        features, masks = zip(*(found[phrase] for phrase in phrases), strict=True)
        return torch.stack(features), torch.stack(masks)

    def _encoded(self, phrases: Sequence[str]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        tokens = self._tokenizer(
            list(phrases), padding="max_length", max_length=self.length, return_tensors="pt"
        )
        device = self._model.text_projection.weight.device
        ids, mask = tokens["input_ids"].to(device), tokens["attention_mask"].to(device)
        features = self._model.get_text_features(input_ids=ids, attention_mask=mask, return_dict=True)
        self.passes += len(phrases)
        return [(f.clone(), m.clone()) for f, m in zip(features.pooler_output, mask, strict=True)]
