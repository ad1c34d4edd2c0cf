"""What of the network is trained: parts that keep their weights, and parts of which adapters alone are trained."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import torch
from torch import nn

from intercog_model.data.draws import Draws
from intercog_model.errors import ConfigurationError
from intercog_model.settings import Identity, Positive, Settings, Within
from intercog_model.training.lora import DOWN, adapted_layers, add_adapters, is_adapter
from intercog_model.training.objective import InterCog
from intercog_model.training.sharded_loading import own_rows
from intercog_model.training.sharding import local, shard_place

Part = Literal["llm", "vit", "connector", "flow", "heads"]
PARTS: tuple[Part, ...] = get_args(Part)
PREFIXES: dict[str, Part] = {
    "bagel.language_model.": "llm",
    "bagel.vit_model.": "vit",
    "bagel.connector.": "connector",
    "bagel.time_embedder.": "flow",
    "bagel.vae2llm.": "flow",
    "bagel.llm2vae.": "flow",
    "heads.": "heads",  # dropped at inference
}
"""Which part a parameter belongs to, by the beginning of its name; the autoencoder is never trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraConfig(Settings):
    """Adapters; a part that has them keeps its own weights."""

    rank: Identity[Annotated[int, Within(ge=0)]] = 0  # 0 is no adapters
    alpha: Identity[Positive] = 32.0  # what an adapter adds is scaled by alpha / rank
    parts: Identity[tuple[Part, ...]] = ("llm",)
    # names of linear layers, as a shell's patterns: projections of attention and feed-forward, of both experts
    layers: Identity[tuple[str, ...]] = ("*_proj", "*_proj_moe_gen")


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningConfig(Settings):
    """What is trained: by default all but the autoencoder and SAM's encoder."""

    freeze: Identity[
        tuple[Part, ...]
    ] = ()  # parts that keep their weights: no gradient, no moments, no average
    lora: LoraConfig = LoraConfig()

    @property
    def frozen(self) -> set[Part]:
        """Parts whose own weights are not trained."""
        return {*self.freeze, *(self.lora.parts if self.lora.rank else ())}

    def __post_init__(self) -> None:
        if set(self.freeze) == set(PARTS) and not self.lora.rank:
            raise ValueError(f"freeze: {list(self.freeze)}, should leave a part to train")


def part_of(name: str) -> Part:
    """The part that a parameter of `InterCog` belongs to, by its name.

    Raises:
        KeyError: the name is none of the network's.
    """
    for prefix, part in PREFIXES.items():
        if name.startswith(prefix):
            return part
    raise KeyError(name)


def prepare(model: InterCog, tuning: TuningConfig, seed: int) -> None:
    """Freeze parts and add adapters, before the network is sharded and gets an optimizer.

    Raises:
        ConfigurationError: a pattern of `lora.layers` matches no linear layer of the parts that get adapters.
    """
    for name, parameter in model.named_parameters():
        if part_of(name) in tuning.frozen:
            parameter.requires_grad_(False)
    lora = tuning.lora
    if not lora.rank:
        return
    unused = add_adapters(
        model, lambda name: part_of(f"{name}.weight") in lora.parts, lora.layers, lora.rank, lora.alpha
    )
    if unused or not lora.layers:
        raise ConfigurationError(
            f"tuning.lora.layers: {unused or []}, should match linear layers of {', '.join(lora.parts)}"
        )
    start_adapters(model, seed)


@torch.no_grad()
def start_adapters(model: nn.Module, seed: int) -> None:
    """Draw every D from N(0, 1 / (3 in)), as functions of seed and name alone, and set every U to zero.

    The variance is that of the uniform start of `nn.Linear`. A sharded model gets the same numbers, each process its
    own rows.
    """
    for name, layer in adapted_layers(model):
        drawn = Draws(seed, name, 0).normal(DOWN, *layer.lora_down.shape) / (3 * layer.in_features) ** 0.5
        mine = local(layer.lora_down.detach())
        if mine.numel():
            mine.copy_(own_rows(drawn, len(drawn), *shard_place(layer.lora_down)))
        layer.lora_up.zero_()


def adapter_parameters(model: nn.Module) -> list[str]:
    """Names of the parameters of adapters."""
    return [name for name, _ in model.named_parameters() if is_adapter(name)]
