"""A loaded model with what its use needs: tokenizer, size rules, and pictures in and out of contexts."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import Bagel
from intercog_model.backbone.flow import unpatchify_latent
from intercog_model.checkpoint import load_folder
from intercog_model.data.draws import Draws
from intercog_model.data.tokenizer import ByteTokenizer, Tokenizer, read_tokenizer
from intercog_model.inference.context import Context
from intercog_model.inference.sampler import (
    GuidedContexts,
    SamplerSettings,
    Velocities,
    batched_velocities,
    sample_latent,
    sample_latents,
)
from intercog_model.packing.resize import (
    DEBUG_VAE_RULE,
    DEBUG_VIT_RULE,
    VAE_RULE,
    VIT_RULE,
    SizeRule,
    resize,
    to_image,
    to_pixels,
)
from intercog_model.statement import TrainedChain, read_statement

Clock = Callable[[str], AbstractContextManager[None]]


def untimed(_part: str) -> AbstractContextManager[None]:
    """A clock that measures nothing."""
    return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodedImage:
    """A picture prepared once for every context that shows it."""

    latent: Tensor  # scaled, [z, h, w]
    vit_pixels: Tensor
    size: tuple[int, int]  # (height, width) at its VAE size


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pipeline:
    """Network, autoencoder, tokenizer and rules; stateless between calls."""

    model: Bagel
    vae: AutoEncoder
    tokenizer: Tokenizer
    vae_rule: SizeRule = VAE_RULE
    vit_rule: SizeRule = VIT_RULE
    chain: TrainedChain = field(default_factory=TrainedChain)
    velocities: Velocities = batched_velocities

    def ids(self, text: str) -> list[int]:
        """Raw token ids of a text."""
        return self.tokenizer.encode(text)[0]

    @torch.no_grad()
    def encode(self, image: Image.Image, draws: Draws, name: str) -> EncodedImage:
        """Resize by the VAE rule, then that result by the ViT rule; the latent is sampled."""
        sized = resize(image, self.vae_rule)
        config, weight = self.model.config, self.vae.encoder.conv_in.weight
        pixels = to_pixels(sized)[None].to(weight)
        step = config.vae.downsample
        noise = draws.normal(f"vae {name}", config.vae.z_channels, sized.height // step, sized.width // step)
        return EncodedImage(
            latent=self.vae.encode(pixels, noise[None].to(weight))[0],
            vit_pixels=to_pixels(resize(sized, self.vit_rule)),
            size=(sized.height, sized.width),
        )

    @staticmethod
    def add_image(context: Context, image: EncodedImage, *, vae: bool = True, vit: bool = True) -> None:
        """Prefill an encoded picture: VAE part, then ViT part."""
        if vae:
            context.add_latent(image.latent)
        if vit:
            context.add_vit_image(image.vit_pixels)

    @torch.no_grad()
    def draw(
        self,
        contexts: GuidedContexts,
        size: tuple[int, int],
        settings: SamplerSettings,
        noise_draws: Draws,
        name: str,
    ) -> Image.Image:
        """Draw a picture of (height, width) pixels; raises FloatingPointError where it is not finite."""
        noise = self._noise(size, noise_draws, name)
        return self._decoded(sample_latent(contexts, noise, size, settings, self.velocities), size)

    @torch.no_grad()
    def draw_many(
        self,
        pictures: Sequence[GuidedContexts],
        size: tuple[int, int],
        settings: SamplerSettings,
        noise_draws: Sequence[Draws],
        name: str,
    ) -> list[Image.Image]:
        """Draw pictures of one size together; each follows from its own contexts and draws, as in `draw`."""
        noises = [self._noise(size, draws, name) for draws in noise_draws]
        found = sample_latents(pictures, noises, size, settings)
        return [self._decoded(tokens, size) for tokens in found]

    def _noise(self, size: tuple[int, int], noise_draws: Draws, name: str) -> Tensor:
        rows, columns = self._grid(size)
        noise = noise_draws.normal(f"draw {name}", rows * columns, self.model.config.latent_width)
        return noise.to(self.model.vae2llm.weight.device)

    def _decoded(self, tokens: Tensor, size: tuple[int, int]) -> Image.Image:
        if not bool(tokens.isfinite().all()):
            raise FloatingPointError("the drawn picture is not finite")
        latent = unpatchify_latent(tokens, *self._grid(size), self.model.config.latent_patch_size)[None]
        return to_image(self.vae.decode(latent.to(self.vae.decoder.conv_in.weight))[0])

    def _grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of latent tokens."""
        side = self.model.config.pixels_per_latent_token
        return size[0] // side, size[1] // side


def load_pipeline(
    folder: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.bfloat16
) -> Pipeline:
    """A folder in the published format, with tokenizer, chain and size rules as its `intercog.json` states them."""
    statement = read_statement(folder)
    tokenizer = read_tokenizer(folder, debug=statement.flavor == "debug")
    loaded = load_folder(folder, tokens=tokenizer.tokens, device=device, dtype=dtype)
    return Pipeline(
        model=loaded.model,
        vae=loaded.vae,
        tokenizer=tokenizer,
        vae_rule=statement.vae_rule,
        vit_rule=statement.vit_rule,
        chain=statement.chain,
    )


def debug_pipeline(model: Bagel, vae: AutoEncoder) -> Pipeline:
    """A pipeline of the debug flavor around models at hand."""
    return Pipeline(
        model=model, vae=vae, tokenizer=ByteTokenizer(), vae_rule=DEBUG_VAE_RULE, vit_rule=DEBUG_VIT_RULE
    )
