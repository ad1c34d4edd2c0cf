"""Sizes of the network as frozen dataclasses: the released flavor, a debug flavor, and checks."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal


def require_numbers(config: Any) -> None:
    """Raise ValueError, with name and value, for a size that is no positive integer or a float below 0."""
    for field in fields(config):
        value = getattr(config, field.name)
        if field.type is int and (type(value) is not int or value < 1):
            raise ValueError(f"{field.name} {value!r} is no whole number above 0")
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if field.type is float and not (number and value >= 0):
            raise ValueError(f"{field.name} {value!r} is no number from 0 on")


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageConfig:
    """Mixture-of-Transformers language model; QK norm and untied embeddings are always on."""

    vocab_size: int  # rows of the embedding and of the head
    hidden_size: int
    intermediate_size: int  # inner width of the SwiGLU feed-forward
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int  # grouped-query attention: query head j reads key head j // group
    rope_theta: float
    rms_norm_eps: float
    max_position_embeddings: int  # an image uses one position, so the limit is hardly ever near

    def __post_init__(self) -> None:
        require_numbers(self)
        if not self.rope_theta:
            raise ValueError("rope_theta 0 is not above 0")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(f"{self.hidden_size=} is not a multiple of {self.num_attention_heads=}")
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(f"{self.num_attention_heads=} not a multiple of {self.num_key_value_heads=}")
        if self.head_dim % 2 or self.hidden_size % 4:
            raise ValueError("rotary halves need an even head width, sin-cos tables a width divisible by 4")

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.hidden_size // self.num_attention_heads


@dataclass(frozen=True, slots=True, kw_only=True)
class VitConfig:
    """SigLIP encoder at native resolution; `num_hidden_layers` counts the layers that are built."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    image_size: int  # pixels; image_size / patch_size is the side of the learned position table
    patch_size: int  # pixels
    layer_norm_eps: float

    def __post_init__(self) -> None:
        require_numbers(self)
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(f"{self.hidden_size=} is not a multiple of {self.num_attention_heads=}")
        if self.image_size % self.patch_size:
            raise ValueError(f"{self.image_size=} is not a multiple of {self.patch_size=}")

    @property
    def side(self) -> int:
        """Patches along one side of the position table."""
        return self.image_size // self.patch_size


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeConfig:
    """FLUX autoencoder: widths are `ch * ch_mult[level]`, level 0 is the finest."""

    ch: int
    ch_mult: tuple[int, ...]
    num_res_blocks: int  # per encoder level; the decoder has one more
    z_channels: int
    scale_factor: float
    shift_factor: float

    @property
    def downsample(self) -> int:
        """Pixels per latent cell along one side."""
        return 1 << (len(self.ch_mult) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialTokens:
    """Token ids that frame a text (`text_*`) and an image (`image_*`)."""

    text_start: int
    text_end: int
    image_start: int
    image_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BagelConfig:
    """Everything that shapes the network."""

    llm: LanguageConfig
    vit: VitConfig
    vae: VaeConfig
    tokens: SpecialTokens
    latent_patch_size: int  # latent cells along one side of a token
    max_latent_size: int  # side of the fixed latent position table, in tokens
    timestep_features: int = 256  # sinusoid width of the time embedder
    interpolate_positions: bool = False  # bucket the grid into the table instead of indexing it directly

    @property
    def latent_width(self) -> int:
        """Channels of one latent token."""
        return self.latent_patch_size**2 * self.vae.z_channels

    @property
    def pixels_per_latent_token(self) -> int:
        """Pixels along one side that one latent token covers."""
        return self.vae.downsample * self.latent_patch_size


FLUX_VAE = VaeConfig(
    ch=128, ch_mult=(1, 2, 4, 4), num_res_blocks=2, z_channels=16, scale_factor=0.3611, shift_factor=0.1159
)

RELEASED_TOKENS = SpecialTokens(text_start=151644, text_end=151645, image_start=151652, image_end=151653)


def released_config() -> BagelConfig:
    """Sizes of BAGEL-7B-MoT (14 607 260 128 values beside the autoencoder)."""
    return BagelConfig(
        llm=LanguageConfig(
            vocab_size=152064,
            hidden_size=3584,
            intermediate_size=18944,
            num_hidden_layers=28,
            num_attention_heads=28,
            num_key_value_heads=4,
            rope_theta=1e6,
            rms_norm_eps=1e-6,
            max_position_embeddings=32768,
        ),
        vit=VitConfig(
            hidden_size=1152,
            intermediate_size=4304,
            num_hidden_layers=26,
            num_attention_heads=16,
            image_size=980,
            patch_size=14,
            layer_norm_eps=1e-6,
        ),
        vae=FLUX_VAE,
        tokens=RELEASED_TOKENS,
        latent_patch_size=2,
        max_latent_size=64,
    )


def debug_config() -> BagelConfig:
    """A model that trains on a CPU in seconds; its vocabulary is 256 bytes and the special tokens."""
    return BagelConfig(
        llm=LanguageConfig(
            vocab_size=264,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            rope_theta=1e6,
            rms_norm_eps=1e-6,
            max_position_embeddings=4096,
        ),
        vit=VitConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=112,
            patch_size=14,
            layer_norm_eps=1e-6,
        ),
        vae=VaeConfig(
            ch=32, ch_mult=(1, 2), num_res_blocks=1, z_channels=4, scale_factor=0.3611, shift_factor=0.1159
        ),
        tokens=SpecialTokens(text_start=256, text_end=257, image_start=258, image_end=259),
        latent_patch_size=2,
        max_latent_size=32,
    )


FlavorName = Literal["released", "debug"]
FLAVORS: dict[FlavorName, Callable[[], BagelConfig]] = {"released": released_config, "debug": debug_config}
