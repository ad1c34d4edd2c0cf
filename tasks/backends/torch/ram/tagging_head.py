"""The tagging head of RAM and RAM++: each tag looks at the image tokens; tags do not look at each other.

The names are those of the BERT layers that the published code builds it from. There is no self-attention, no position
and no embedding; norms follow the sums.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from tasks.backends.torch.ram.sizes import DecoderSizes


class TaggingHead(nn.Module):
    """Layers of cross-attention and feed-forward network."""

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.encoder = Layers(sizes)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Tags after looking at the picture.

        Args:
            queries: (B, tags, width).
            tokens: (B, T, embedding) of the image, the mean token included.

        Returns:
            (B, tags, width).
        """
        attended: Tensor = self.encoder(queries, tokens)
        return attended


class Layers(nn.Module):
    """All layers, one after the other."""

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.layer = nn.ModuleList(DecoderLayer(sizes) for _ in range(sizes.layers))

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """See `TaggingHead.forward`."""
        for layer in self.layer:
            queries = layer(queries, tokens)
        return queries


class DecoderLayer(nn.Module):
    """One layer."""

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.crossattention = CrossAttention(sizes)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(sizes.width, sizes.feed_forward)})
        self.output = AddAndNorm(sizes.feed_forward, sizes.width, sizes.norm_eps)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """See `TaggingHead.forward`."""
        queries = self.crossattention(queries, tokens)
        layered: Tensor = self.output(functional.gelu(self.intermediate["dense"](queries)), queries)
        return layered


class CrossAttention(nn.Module):
    """Queries from the tags, keys and values from the image tokens; then residual and norm."""

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        inputs = {"query": sizes.width, "key": sizes.embedding, "value": sizes.embedding}
        self.self = nn.ModuleDict({name: nn.Linear(size, sizes.width) for name, size in inputs.items()})
        self.output = AddAndNorm(sizes.width, sizes.width, sizes.norm_eps)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """See `TaggingHead.forward`."""
        sources = {"query": queries, "key": tokens, "value": tokens}
        query, key, value = (
            self.self[name](source).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for name, source in sources.items()
        )
        attended = functional.scaled_dot_product_attention(query, key, value)
        looked: Tensor = self.output(attended.transpose(1, 2).flatten(2), queries)
        return looked


class AddAndNorm(nn.Module):
    """A linear layer, the residual added, and a norm."""

    def __init__(self, inputs: int, width: int, eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, width)
        self.LayerNorm = nn.LayerNorm(width, eps=eps)

    def forward(self, values: Tensor, residual: Tensor) -> Tensor:
        """(…, inputs) and (…, width) to (…, width)."""
        normed: Tensor = self.LayerNorm(self.dense(values) + residual)
        return normed
