"""The whole network: backbone, re-weighting of the tags' descriptions, tagging head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.backends.torch.ram.sizes import RamSizes
from tasks.backends.torch.ram.swin import Swin
from tasks.backends.torch.ram.tagging_head import TaggingHead


class RamNetwork(nn.Module):
    """RAM or RAM++: pictures to one logit per tag.

    Args:
        sizes: of the network; `RamSizes.descriptions` makes it RAM++.
    """

    def __init__(self, sizes: RamSizes) -> None:
        super().__init__()
        decoder = sizes.decoder
        self.sizes = sizes
        self.label_embed = nn.Parameter(torch.empty(sizes.label_rows, decoder.embedding))
        if sizes.descriptions is not None:
            self.reweight_scale = nn.Parameter(torch.empty(()))
        self.visual_encoder = Swin(sizes.swin)
        self.image_proj = nn.Linear(sizes.swin.out_channels, decoder.embedding)
        same = decoder.embedding == decoder.width
        self.wordvec_proj = nn.Identity() if same else nn.Linear(decoder.embedding, decoder.width)
        self.tagging_head = TaggingHead(decoder)
        self.fc = nn.Linear(decoder.width, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of all tags.

        Args:
            pixels: (B, 3, image, image), normalized.

        Returns:
            (B, tags).
        """
        tokens = self.image_tokens(pixels)
        return self.decide(self.tag_queries(self.labels_for(tokens)), tokens)

    def image_tokens(self, pixels: Tensor) -> Tensor:
        """(B, 1 + T, embedding): the mean token of each picture, then its tokens."""
        tokens: Tensor = self.image_proj(self.visual_encoder(pixels))
        return tokens

    def labels_for(self, tokens: Tensor) -> Tensor:
        """The tags' embeddings as these pictures see them, (B, tags, embedding).

        Args:
            tokens: as `image_tokens` gives them.
        """
        if self.sizes.descriptions is None:
            return self.label_embed.expand(len(tokens), -1, -1)
        return self.weigh(self.description_weights(tokens))

    def description_weights(self, tokens: Tensor) -> Tensor:
        """How much each description of a tag says about the picture, (B, tags, descriptions); sums to 1 per tag."""
        looks = functional.normalize(tokens[:, 0], dim=-1)  # the labels keep their lengths
        scores = self.reweight_scale.exp() * looks @ self.label_embed.T
        return scores.view(len(scores), -1, self.sizes.descriptions or 1).softmax(-1)

    def weigh(self, weights: Tensor) -> Tensor:
        """Weighted sums of the descriptions, (B, tags, embedding), as one contraction per tag over the batch.

        The product of all weights with all descriptions, 479 MB per picture at full size, is never made.
        """
        descriptions = self.label_embed.unflatten(0, (-1, weights.shape[-1]))
        return torch.einsum("btd,tde->bte", weights, descriptions)

    def tag_queries(self, labels: Tensor) -> Tensor:
        """(…, tags, embedding) to what the head starts from, (…, tags, width)."""
        return functional.relu(self.wordvec_proj(labels))

    def decide(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Logits (B, tags) of queries (B, tags, width) that look at tokens (B, 1 + T, embedding)."""
        logits: Tensor = self.fc(self.tagging_head(queries, tokens)).squeeze(-1)
        return logits
