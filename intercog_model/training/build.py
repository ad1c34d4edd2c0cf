"""From a configuration to the objects of a run: model, autoencoder, data and image features."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError

from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import Bagel
from intercog_model.backbone.layers import compile_layers, set_recompute
from intercog_model.checkpoint import LoadedModel, load_folder
from intercog_model.config import BagelConfig, debug_config
from intercog_model.data.mixture import Mixture
from intercog_model.data.plans import PlanBuilder
from intercog_model.data.tokenizer import Tokenizer, read_tokenizer
from intercog_model.errors import ConfigurationError
from intercog_model.grounding.config import DEBUG_HEADS, HeadSizes
from intercog_model.grounding.features import (
    CachedFeatures,
    ImageFeatures,
    RandomPatchFeatures,
    SamFeatures,
    read_sam,
)
from intercog_model.grounding.heads import GroundingHeads
from intercog_model.training.config import TrainConfig
from intercog_model.training.inputs import reads_features, require_inputs
from intercog_model.training.objective import InterCog, ObjectiveConfig
from intercog_model.training.sharding import world
from intercog_model.training.step_plan import StepPlanner
from intercog_model.training.tuning import prepare


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """What the loop works with."""

    model: InterCog
    vae: AutoEncoder
    planner: StepPlanner


def build(config: TrainConfig, device: torch.device | str, *, empty: bool = False) -> Parts:
    """Everything but optimizer and sharding; weights in float32.

    `empty` leaves a network that comes from a checkpoint on the meta device, to be filled by `load_shards`.
    """
    require_device(config, torch.device(device))
    require_replicas(config, world()[1])
    require_inputs(config)
    mixture = Mixture(list(config.sources), config.run.seed)
    debug = config.model.flavor == "debug"
    tokenizer = _tokenizer(config)
    if config.model.checkpoint:
        loaded = _published_model(config.model.checkpoint, tokenizer, device, empty=empty)
        bagel, vae = loaded.model, loaded.vae
        torch.manual_seed(config.run.seed)
    else:
        bagel, vae = start_of_debug_run(config.run.seed)
        bagel, vae = bagel.to(device), vae.to(device)
    if config.run.vae_bf16:
        vae.encoder.to(torch.bfloat16)
    sizes = DEBUG_HEADS if debug else HeadSizes()
    heads = GroundingHeads(bagel.config.llm.hidden_size, sizes).to(device)
    sam: dict[str, torch.Tensor] | None = None
    if config.model.sam and reads_features(config):
        sam = read_sam(Path(config.model.sam), f"model.sam: {config.model.sam!r}")
        heads.load_segment_anything(sam)
    model = network_to_train(config, bagel, heads)
    planner = StepPlanner(
        mixture,
        PlanBuilder(bagel.config, config.sequence, tokenizer),
        _features(config, sizes, sam, device),
        seed=config.run.seed,
        samples=config.optim.samples_per_step,
        max_tokens=config.optim.max_tokens,
    )
    return Parts(model=model, vae=vae.eval().requires_grad_(False), planner=planner)


def network_to_train(config: TrainConfig, bagel: Bagel, heads: GroundingHeads) -> InterCog:
    """The network with all that the configuration says of its training, before it is sharded."""
    objective = ObjectiveConfig(
        grounding=config.grounding,
        weight_ce=config.loss.weight_ce,
        weight_mse=config.loss.weight_mse,
        timestep_shift=config.loss.timestep_shift,
        freeze_und=config.loss.freeze_und,
        reweight_ce=config.loss.reweight_ce,
    )
    set_recompute(bagel, config.run.activation_checkpointing)
    if config.run.compile:
        compile_layers(bagel)
    model = InterCog(bagel.train().requires_grad_(True), heads, objective)
    prepare(model, config.tuning, config.run.seed)
    return model


def start_of_debug_run(seed: int) -> tuple[Bagel, AutoEncoder]:
    """The random weights that a run of the debug flavor begins with; those of its heads follow in torch's stream."""
    torch.manual_seed(seed)
    return random_debug_models()


def random_debug_models(config: BagelConfig | None = None) -> tuple[Bagel, AutoEncoder]:
    """The debug flavor (or `config`) with random weights from torch's current seed, its flow head at zero.

    The encoder's log variance is set low: at random it would drown the picture in its own sampling noise.
    """
    config = config or debug_config()
    bagel, vae = Bagel(config), AutoEncoder(config.vae)
    torch.nn.init.normal_(bagel.language_model.model.embed_tokens.weight, std=0.2)
    torch.nn.init.zeros_(bagel.llm2vae.weight)
    torch.nn.init.zeros_(bagel.llm2vae.bias)
    with torch.no_grad():
        z = config.vae.z_channels
        vae.encoder.conv_out.weight[z:] = 0
        bias = vae.encoder.conv_out.bias
        assert bias is not None
        bias[z:] = -8
    return bagel, vae


def require_device(config: TrainConfig, device: torch.device) -> None:
    """Raise ConfigurationError where the configured attention or compilation cannot train on the device."""
    if config.run.compile and device.type == "cpu" and not shutil.which(os.environ.get("CXX", "g++")):
        raise ConfigurationError("run.compile: True, should be false on a CPU without a C++ compiler")
    if config.run.attention == "flex" and device.type == "cpu":
        raise ConfigurationError(
            "run.attention: 'flex', should be 'dense' on a CPU, where flex has no backward"
        )


def require_replicas(config: TrainConfig, processes: int) -> None:
    """Raise ConfigurationError where the processes do not make up whole copies of the model."""
    if processes % config.run.replicas:
        raise ConfigurationError(
            f"run.replicas: {config.run.replicas}, should divide the number of processes, {processes}"
        )


def _tokenizer(config: TrainConfig) -> Tokenizer:
    folder = Path(config.model.checkpoint) if config.model.checkpoint else None
    try:
        return read_tokenizer(folder, debug=config.model.flavor == "debug")
    except ValueError as error:
        raise ConfigurationError(f"model.checkpoint: {config.model.checkpoint!r}: {error}") from error


def _published_model(
    folder: str, tokenizer: Tokenizer, device: torch.device | str, *, empty: bool
) -> LoadedModel:
    try:
        return load_folder(
            Path(folder), tokens=tokenizer.tokens, device=device, dtype=torch.float32, empty=empty
        )
    except KeyError as error:
        raise ConfigurationError(
            f"model.checkpoint: {folder!r}: its configuration files lack {error}"
        ) from error
    except (OSError, ValueError, SafetensorError) as error:
        raise ConfigurationError(f"model.checkpoint: {folder!r}: {error}") from error


def _features(
    config: TrainConfig, sizes: HeadSizes, sam: dict[str, torch.Tensor] | None, device: torch.device | str
) -> ImageFeatures | None:
    if not reads_features(config):
        return None
    if config.model.features == "random":
        return RandomPatchFeatures(sizes.width, sizes.grid)
    if config.model.features == "sam":
        assert sam is not None  # by `require_inputs`
        return SamFeatures(sam, device, torch.bfloat16 if config.run.bf16 else torch.float32)
    return CachedFeatures(Path(config.model.features_folder))
