"""The configuration of a training run: every key with its default, its range and what a change of it means."""

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from intercog_model.backbone.layers import Recompute
from intercog_model.config import FLAVORS, FlavorName
from intercog_model.data.mixture import SourceConfig, require_own_names
from intercog_model.data.plans import SequenceConfig
from intercog_model.grounding.config import GroundingConfig
from intercog_model.packing.resize import SizeRule
from intercog_model.settings import (
    Count,
    Identity,
    Numerics,
    Operation,
    Positive,
    Seed,
    Settings,
    Share,
    Weight,
    Within,
)
from intercog_model.training.tuning import Part, TuningConfig

Decay = Annotated[float, Within(ge=0, lt=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource(Settings):
    """Where the weights come from; files are told apart by their contents, so addresses may change."""

    flavor: Identity[FlavorName] = "released"
    checkpoint: Operation[str] = ""  # folder in the published format; "" starts the debug flavor at random
    # safetensors file of SAM ViT-H: starts the mask decoder, and computes features if asked
    sam: Operation[str] = ""
    # image features: cached files, SAM on the fly, or random (tests)
    features: Identity[Literal["cached", "sam", "random"]] = "cached"
    features_folder: Operation[str] = ""  # of cached features


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig(Settings):
    """Weights of the plain terms and readings of the flow."""

    weight_ce: Identity[Weight] = 1.0
    weight_mse: Identity[Weight] = 1.0
    timestep_shift: Identity[Positive] = 4.0
    freeze_und: Identity[bool] = False
    reweight_ce: Identity[bool] = False


Rate = Identity[Weight | None]
NotNegative = Annotated[int, Within(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRates(Settings):
    """Learning rates of single parts; a part without one has `optim.lr`."""

    llm: Rate = None
    vit: Rate = None
    connector: Rate = None
    flow: Rate = None  # time embedding, latents in, velocities out
    heads: Rate = None  # what training adds: projectors and mask decoder


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimConfig(Settings):
    """Optimizer, schedule and averages."""

    lr: Identity[Weight] = 2e-5
    lr_of: PartRates = PartRates()
    warmup_steps: Identity[NotNegative] = 300
    schedule: Identity[Literal["constant", "cosine", "stable-decay"]] = "constant"  # after the warm-up
    # the step at which a schedule has fallen to `final_rate` of the rates, where it stays
    schedule_steps: Identity[NotNegative] = 0
    decay_steps: Identity[NotNegative] = 0  # of "stable-decay": the last of `schedule_steps`
    final_rate: Identity[Share] = 0.0
    beta1: Identity[Decay] = 0.9
    beta2: Identity[Decay] = 0.95
    eps: Identity[Weight] = 1e-15
    weight_decay: Identity[Weight] = 0.0
    clip_norm: Identity[Annotated[float, Within(gt=0, infinite=True)]] = 1.0  # inf does not clip
    ema_decay: Identity[Decay] = 0.998
    steps: Operation[Count] = 4000  # no rate depends on it, so a run may be made longer
    samples_per_step: Identity[Count] = 64
    max_tokens: Identity[Count] = 24576  # rows of a pack, and of a sample

    def __post_init__(self) -> None:
        first = self.warmup_steps
        if self.schedule == "stable-decay":
            if not self.decay_steps:
                raise ValueError("decay_steps: 0, should be above 0 for the schedule 'stable-decay'")
            first += self.decay_steps - 1
        if self.schedule != "constant" and self.schedule_steps <= first:
            raise ValueError(
                f"schedule_steps: {self.schedule_steps}, should be above {first} for the schedule {self.schedule!r}"
            )

    def rate_of(self, part: Part) -> float:
        """Learning rate of a part before the schedule."""
        own: float | None = getattr(self.lr_of, part)
        return self.lr if own is None else own


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationConfig(Settings):
    """Validation on the releases' own validation split, which leaves training as it is."""

    every: Operation[NotNegative] = 0  # steps; also before the first and after the last; 0 is never
    samples: Operation[Count] = 64  # the first of the split, whose order is random
    pictures: Operation[NotNegative] = (
        2  # chains that are drawn, of the first samples; none before the first step
    )
    points: Operation[Annotated[int, Within(ge=2)]] = 20  # time points of a picture; one less is the steps
    max_tokens: Operation[Count] = 400  # of each text that a chain writes


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig(Settings):
    """How and where the run is carried out."""

    out: Operation[str] = ""  # folder of this run alone
    seed: Identity[Seed] = 0
    save_every: Operation[Count] = 500
    keep_checkpoints: Operation[Count] = 2
    checkpoints: Operation[str] = ""  # folder or s3://bucket/path; "" is `out`
    attention: Numerics[Literal["flex", "dense"]] = "flex"  # flex trains on a GPU only
    bf16: Numerics[bool] = True
    vae_bf16: Numerics[bool] = True  # the autoencoder's encoder
    replicas: Numerics[Count] = 1  # copies of the model, each sharded over its part of the processes (HSDP)
    # of the layers' results, "selective" keeps those of attention, "full" none; the rest is computed again in backward
    activation_checkpointing: Numerics[Recompute] = "full"
    compile: Numerics[bool] = True  # the layers, by torch.compile
    # the published trainer's encode; makes samples depend on neighbors
    padded_vae_batches: Identity[bool] = False
    # of one device in bf16, for MFU; 0 is what the device's name stands for, and no MFU where that is not known
    peak_tflops: Operation[Weight] = 0.0
    wandb: Operation[str] = ""  # project in Weights & Biases; "" is none
    digest_every_step: Operation[bool] = False  # sha256 of EMA and optimizer state in the log

    @property
    def place_of_checkpoints(self) -> str:
        """The folder or address that checkpoints are written to."""
        return self.checkpoints or self.out


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig(Settings):
    """Everything of a run."""

    model: ModelSource = ModelSource()
    sequence: SequenceConfig = field(default_factory=SequenceConfig)
    grounding: GroundingConfig = field(default_factory=GroundingConfig)
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    tuning: TuningConfig = field(default_factory=TuningConfig)
    validation: ValidationConfig = ValidationConfig()
    run: RunConfig = RunConfig()
    sources: tuple[SourceConfig, ...] = ()

    def __post_init__(self) -> None:
        require_own_names(self.sources)
        model = FLAVORS[self.model.flavor]()
        self._require_grid("vae_rule", model.pixels_per_latent_token, model.max_latent_size)
        self._require_grid("vit_rule", model.vit.patch_size, model.vit.side)

    def _require_grid(self, name: str, side: int, table: int) -> None:
        """The sizes of a rule must be whole tokens of `side` pixels, `table` of them at most."""
        rule: SizeRule = getattr(self.sequence, name)
        if rule.stride % side:
            raise ValueError(
                f"sequence.{name}.stride: {rule.stride}, should be a multiple of {side}, the side of a token"
            )
        if rule.min_side > rule.max_side:
            raise ValueError(
                f"sequence.{name}.min_side: {rule.min_side}, should be at most its max_side {rule.max_side}"
            )
        if rule.largest > side * table:
            raise ValueError(
                f"sequence.{name}.max_side: {rule.max_side}, should be at most {side * table}, "
                "the model's largest picture"
            )


def to_json(config: TrainConfig) -> dict[str, Any]:
    """The resolved configuration, to print and to store with the run."""
    return asdict(config)
