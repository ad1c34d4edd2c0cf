"""A growing context: add texts and images to the cache, and read text out of it."""

from collections.abc import Iterator

import torch
from torch import Tensor

from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import Bagel
from intercog_model.backbone.flow import patchify_latent
from intercog_model.backbone.language_model import Routing
from intercog_model.inference.kv_cache import CachedAttend, KVCache
from intercog_model.inference.segments import Segment, latent_segment, text_segment, vit_segment


class Context:
    """Cache and next rotary position; the model itself is shared between contexts."""

    def __init__(self, model: Bagel) -> None:
        weight = model.vae2llm.weight
        self.model = model
        self.device = weight.device
        self.cache = KVCache(model.config.llm, weight.device, weight.dtype)
        self.position = 0

    def fork(self) -> "Context":
        """An independent copy: later additions to one are not seen by the other."""
        twin = object.__new__(Context)
        twin.model, twin.device = self.model, self.device
        twin.cache, twin.position = self.cache.fork(), self.position
        return twin

    @torch.no_grad()
    def add_text(self, ids: list[int]) -> None:
        """Frame and prefill a text (causal)."""
        segment = text_segment(ids, self.position, self.model.config).to(self.device)
        self._prefill(segment, self.model.embed_text(segment.text_ids), None, causal=True)

    @torch.no_grad()
    def add_vit_image(self, pixels: Tensor) -> None:
        """Prefill an image [3, H, W] in [-1, 1] through the ViT."""
        segment = vit_segment(pixels, self.position, self.model.config).to(self.device)
        assert segment.patches is not None
        rows = self.model.embed_patches(segment.patches, segment.grid_ids, [len(segment.grid_ids)])[2]
        self._prefill(segment, framed_rows(self.model, segment, rows), None, causal=False)

    @torch.no_grad()
    def add_vae_image(self, pixels: Tensor, vae: AutoEncoder, noise: Tensor) -> None:
        """Prefill an image [3, H, W] in [-1, 1] through the autoencoder, at flow time 0.

        `noise` [z, H / f, W / f] samples the latent: the mean is never used.
        """
        weight = vae.encoder.conv_in.weight
        latent = vae.encode(pixels[None].to(weight), noise[None].to(weight))[0]
        self.add_latent(latent)

    @torch.no_grad()
    def add_latent(self, latent: Tensor) -> None:
        """Prefill a scaled latent [z, h, w] that was encoded before."""
        config = self.model.config
        height, width = (side * config.vae.downsample for side in latent.shape[1:])
        segment = latent_segment(height, width, self.position, config, kept=True).to(self.device)
        tokens = patchify_latent(latent, config.latent_patch_size)
        still = torch.zeros(len(tokens), device=self.device)
        rows = self.model.embed_latents(tokens, still, segment.grid_ids)[1]
        self._prefill(segment, framed_rows(self.model, segment, rows), segment.image_indexes, causal=False)

    def _prefill(self, segment: Segment, rows_LD: Tensor, gen: Tensor | None, *, causal: bool) -> None:
        routing = Routing(segment.text_indexes, gen)
        attend = CachedAttend(self.cache, segment.rows, causal=causal)
        self.model.language_model(rows_LD, routing, segment.position_ids, attend)
        self.cache.advance(segment.rows)
        self.position += segment.advance

    @torch.no_grad()
    def decode_logits(self, token: int) -> Tensor:
        """Feed one text token and return the next token's logits, float32 [vocabulary]; the cache grows."""
        ids = torch.tensor([token], device=self.device)
        attend = CachedAttend(self.cache, 1, causal=True)
        position = torch.tensor([self.position], device=self.device)
        last, _ = self.model.language_model(self.model.embed_text(ids), Routing(ids, None), position, attend)
        self.cache.advance(1)
        self.position += 1
        logits: Tensor = self.model.language_model.lm_head(last[0]).float()
        return logits

    def generate_text(
        self,
        max_tokens: int,
        *,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
        ignore_end: bool = False,
    ) -> list[int]:
        """Raw ids of a text that follows the context, which itself stays as it is.

        Greedy at temperature 0, else sampled from softmax(logits / temperature). Ends at the text end token,
        which is not returned, or after `max_tokens`; `ignore_end` always gives that many, for measurements.
        """
        return list(self.fork()._tokens(max_tokens, temperature, generator, ignore_end))

    def _tokens(
        self, max_tokens: int, temperature: float, generator: torch.Generator | None, ignore_end: bool
    ) -> Iterator[int]:
        token = self.model.config.tokens.text_start
        for _ in range(max_tokens):
            logits = self.decode_logits(token)
            if temperature > 0:
                chances = torch.softmax(logits / temperature, dim=0).cpu()
                token = int(torch.multinomial(chances, 1, generator=generator))
            else:
                token = int(logits.argmax())
            if token == self.model.config.tokens.text_end and not ignore_end:
                return
            yield token


def framed_rows(model: Bagel, segment: Segment, image_ND: Tensor) -> Tensor:
    """The segment's rows [L, D]: the frame tokens' embeddings around the image rows."""
    frame = model.embed_text(segment.text_ids)
    rows_LD = frame.new_empty(segment.rows, frame.shape[1])
    rows_LD[segment.text_indexes] = frame
    rows_LD[segment.image_indexes] = image_ND.to(frame.dtype)
    return rows_LD
