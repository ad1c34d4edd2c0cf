"""Examples to plans: the interleaved chain S0-S9, and the plain BAGEL sequences of general data."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from intercog_model.config import BagelConfig
from intercog_model.data.chain_text import GROUNDING_PROMPT, ChainText, TagRule, first_text, second_text
from intercog_model.data.draws import Draws
from intercog_model.data.example import (
    EditExample,
    Example,
    GroundingExample,
    TextToImageExample,
    UnderstandingExample,
)
from intercog_model.data.tokenizer import Tokenizer
from intercog_model.packing.pack import sample_length
from intercog_model.packing.plan import PlanItem, Sample, TextItem, VaeItem, VitItem
from intercog_model.packing.resize import VAE_RULE, VIT_TRAINING_RULE, SizeRule, resize, to_pixels
from intercog_model.settings import Identity, Settings, Share


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceConfig(Settings):
    """What a chain consists of."""

    text_reasoning: Identity[bool] = True  # T1 and T2; off leaves only the tags around V
    visual_reasoning: Identity[bool] = True  # V as target and as context
    system_prompt: Identity[bool] = True  # off together with both reasonings is plain BAGEL
    think_tags: Identity[TagRule] = "one pair"
    feedback: Identity[Literal["both", "vae", "vit"]] = "both"  # how V is seen by what follows
    announce_images: Identity[bool] = False  # the end token before a drawn picture predicts the image start
    drop_text: Identity[Share] = 0.1  # probabilities of dropping the instruction and each copy of the source
    drop_vae: Identity[Share] = 0.3
    drop_vit: Identity[Share] = 0.3
    vae_rule: SizeRule = VAE_RULE
    vit_rule: SizeRule = VIT_TRAINING_RULE

    @property
    def reasoning(self) -> bool:
        """Whether there is any reasoning, hence think tags."""
        return self.text_reasoning or self.visual_reasoning


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroundingTarget:
    """What the grounding losses need of one sample; ranges count from the first id of S4."""

    key: str
    mask: Tensor  # bool [H, W], pixels of the source
    marked: bool  # whether the mask holds any pixel; without one there is nothing to ground
    image: Image.Image  # the source at its VAE size, so that its grid is the latents' own
    content: range  # ids of T1
    second: range  # ids of the second section's body


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BuiltSample:
    """A plan, with the grounding target if it has one."""

    sample: Sample
    target: GroundingTarget | None


class PlanBuilder:
    """Builds plans; holds what does not change between samples."""

    def __init__(self, model: BagelConfig, sequence: SequenceConfig, tokenizer: Tokenizer) -> None:
        self.model = model
        self.sequence = sequence
        self.tokenizer = tokenizer

    def length(self, example: Example, draws: Draws) -> int:
        """Rows of the plan that `build` would give, without touching a pixel or drawing a noise."""
        dry = _DryBuilder(self.model, self.sequence, self.tokenizer)
        return sample_length(dry.build(example, draws).sample, self.model)

    def build(self, example: Example, draws: Draws) -> BuiltSample:
        """The plan of any example with its noises, times and drops drawn."""
        if isinstance(example, GroundingExample):
            return self._chain(example, draws)
        if isinstance(example, EditExample):
            items = [
                *self._context_image("I", example.source, draws, droppable=True),
                self._text("c", example.instruction, draws),
                self._drawn("O", self._vae_pixels(example.edited), draws),
            ]
        elif isinstance(example, TextToImageExample):
            items = [
                self._text("c", example.caption, draws),
                self._drawn("O", self._vae_pixels(example.image), draws),
            ]
        elif isinstance(example, UnderstandingExample):
            answer = tuple(self.tokenizer.encode(example.answer)[0])
            items = [
                self._vit("I", example.image),
                TextItem(
                    name="question", ids=tuple(self.tokenizer.encode(example.question)[0]), droppable=False
                ),
                TextItem(name="answer", ids=answer, loss=True, droppable=False),
            ]
        return BuiltSample(sample=Sample(key=example.key, items=tuple(items)), target=None)

    def _chain(self, example: GroundingExample, draws: Draws) -> BuiltSample:
        sequence, items = self.sequence, list[PlanItem]()
        if sequence.system_prompt:
            ids = tuple(self.tokenizer.encode(GROUNDING_PROMPT)[0])
            items.append(TextItem(name="S0", ids=ids, droppable=False))
        source = self._vae_pixels(example.source)
        items += self._context_image("I", example.source, draws, droppable=True)
        items.append(self._text("c", example.instruction, draws))
        first: ChainText | None = None
        if sequence.reasoning:
            sections = example.sections if sequence.text_reasoning else None
            first = first_text(sections, self.tokenizer, sequence.think_tags)
            items.append(self._reasoning("S4", first, announces=sequence.visual_reasoning))
            if sequence.visual_reasoning:
                # V and O have the size of the resized source, so that all three grids agree
                grounded = self._same_size(example.grounded, source)
                items.append(self._drawn("S5", grounded, draws))
                items += self._feedback(example.grounded, grounded, draws)
            second = second_text(sections, self.tokenizer, sequence.think_tags)
            items.append(self._reasoning("S8", second, announces=True))
        items.append(self._drawn("S9", self._same_size(example.edited, source), draws))
        target = GroundingTarget(
            key=example.key,
            mask=torch.from_numpy(np.ascontiguousarray(example.mask)),
            marked=bool(example.mask.any()),
            image=self._feature_image(example.source),
            content=first.content if first else range(0),
            second=first.second if first else range(0),
        )
        return BuiltSample(sample=Sample(key=example.key, items=tuple(items)), target=target)

    def _reasoning(self, name: str, text: ChainText, *, announces: bool) -> TextItem:
        label = self.model.tokens.image_start if self.sequence.announce_images and announces else None
        return TextItem(name=name, ids=text.ids, loss=True, closing_label=label, droppable=False)

    def _feedback(self, picture: Image.Image, pixels: Tensor, draws: Draws) -> list[PlanItem]:
        items = list[PlanItem]()
        if self.sequence.feedback in ("both", "vae"):
            items.append(self._clean("S6", pixels, draws, droppable=False, dropped=False))
        if self.sequence.feedback in ("both", "vit"):
            items.append(self._vit("S7", picture))
        return items

    def _context_image(
        self, name: str, image: Image.Image, draws: Draws, *, droppable: bool
    ) -> list[PlanItem]:
        """VAE copy, then ViT copy."""
        vae_dropped = droppable and draws.uniform(f"drop vae {name}") < self.sequence.drop_vae
        vit_dropped = droppable and draws.uniform(f"drop vit {name}") < self.sequence.drop_vit
        pixels = self._vae_pixels(image)
        return [
            self._clean(f"{name} vae", pixels, draws, droppable=droppable, dropped=vae_dropped),
            self._vit(name, image, droppable=droppable, dropped=vit_dropped),
        ]

    def _text(self, name: str, text: str, draws: Draws) -> TextItem:
        dropped = draws.uniform(f"drop text {name}") < self.sequence.drop_text
        return TextItem(name=name, ids=tuple(self.tokenizer.encode(text)[0]), dropped=dropped)

    def _vit(
        self, name: str, image: Image.Image, *, droppable: bool = False, dropped: bool = False
    ) -> VitItem:
        pixels = self._pixels(image, self.sequence.vit_rule)
        return VitItem(name=name, pixels=pixels, droppable=droppable, dropped=dropped)

    def _vae_pixels(self, image: Image.Image) -> Tensor:
        return self._pixels(image, self.sequence.vae_rule)

    def _pixels(self, image: Image.Image, rule: SizeRule) -> Tensor:
        return to_pixels(resize(image, rule))

    def _same_size(self, image: Image.Image, pixels: Tensor) -> Tensor:
        size = (pixels.shape[2], pixels.shape[1])
        return to_pixels(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))

    def _clean(self, name: str, pixels: Tensor, draws: Draws, *, droppable: bool, dropped: bool) -> VaeItem:
        return VaeItem(
            name=name,
            pixels=pixels,
            vae_noise=self._vae_noise(name, pixels, draws),
            flow_noise=torch.zeros(self._tokens(pixels), self.model.latent_width),  # t = 0 leaves it unused
            droppable=droppable,
            dropped=dropped,
        )

    def _drawn(self, name: str, pixels: Tensor, draws: Draws) -> VaeItem:
        return VaeItem(
            name=name,
            pixels=pixels,
            vae_noise=self._vae_noise(name, pixels, draws),
            flow_noise=self._normal(draws, f"flow {name}", self._tokens(pixels), self.model.latent_width),
            raw_timestep=self._time(draws, name),
            droppable=False,
        )

    def _vae_noise(self, name: str, pixels: Tensor, draws: Draws) -> Tensor:
        step = self.model.vae.downsample
        height, width = pixels.shape[1] // step, pixels.shape[2] // step
        return self._normal(draws, f"vae {name}", self.model.vae.z_channels, height, width)

    def _normal(self, draws: Draws, purpose: str, *shape: int) -> Tensor:
        return draws.normal(purpose, *shape)

    def _feature_image(self, image: Image.Image) -> Image.Image:
        return resize(image, self.sequence.vae_rule)

    def _time(self, draws: Draws, name: str) -> float:
        return float(draws.normal(f"time {name}", 1))

    def _tokens(self, pixels: Tensor) -> int:
        side = self.model.pixels_per_latent_token
        return (pixels.shape[1] // side) * (pixels.shape[2] // side)


class _DryBuilder(PlanBuilder):
    """Builds plans whose tensors have only a shape; drops are drawn as ever, on the CPU."""

    def _pixels(self, image: Image.Image, rule: SizeRule) -> Tensor:
        width, height = rule.size(*image.size)
        return torch.empty(3, height, width, device="meta")

    def _same_size(self, image: Image.Image, pixels: Tensor) -> Tensor:
        return pixels

    def _normal(self, draws: Draws, purpose: str, *shape: int) -> Tensor:
        return torch.empty(*shape, device="meta")

    def _feature_image(self, image: Image.Image) -> Image.Image:
        return image

    def _time(self, draws: Draws, name: str) -> float:
        return 0.0
