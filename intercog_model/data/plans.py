"""Examples to plans: the interleaved chain of grounding, and the plain BAGEL sequences of general data"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from intercog_model.config import BagelConfig
from intercog_model.data.chain_text import GROUNDING_PROMPT, ChainText, TagRule, first_text, second_text
from intercog_model.data.draws import Draws
from intercog_model.data.example import (
    CaptionExample,
    EditExample,
    Example,
    GroundingExample,
    TextToImageExample,
    UnderstandingExample,
)
from intercog_model.data.tokenizer import Tokenizer
from intercog_model.packing.pack import sample_length
from intercog_model.packing.plan import PlanItem, Sample, TextItem, VaeItem, VitItem
from intercog_model.packing.resize import VAE_RULE, VIT_RULE, SizeRule, to_pixels, to_rgb
from intercog_model.settings import Identity, Settings, Share, Within

GuidanceContext = Literal["whole", "without text", "without image"]
"""What of a chain comes before O: all of it, or what one of the contexts for guidance holds at inference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceConfig(Settings):
    """What a chain consists of, and what of it is left out at random.

    The paper says nothing of dropping. Three kinds are drawn, the first as BAGEL's trainer does: instruction and copies
    of the source on their own; and the chain as a block, in one of two ways, so that both contexts that guide O at
    inference are ones that training met. A sample of the latter kind learns nothing but O.
    """

    text_reasoning: Identity[bool] = True  # T1 and T2; off leaves only the tags around V
    visual_reasoning: Identity[bool] = True  # V as target and as context
    system_prompt: Identity[bool] = True  # off together with both reasonings is plain BAGEL
    think_tags: Identity[TagRule] = "one pair"
    feedback: Identity[Literal["both", "vae", "vit"]] = "both"  # how V is seen by what follows
    announce_images: Identity[bool] = False  # the end token before a drawn picture predicts the image start
    drop_text: Identity[Share] = 0.1  # probabilities of dropping the instruction and each copy of the source
    drop_vae: Identity[Share] = 0.3
    drop_vit: Identity[Share] = 0.3
    # probability of each of the two ways to leave the chain out: without instruction and chain, without pictures
    drop_chain: Identity[Annotated[float, Within(ge=0, le=0.5)]] = 0.1
    # CE on T1 where both copies of the source are dropped: it would teach to invent scene and target
    ce_without_source: Identity[bool] = False
    described: Identity[Share] = (
        0.5  # of kind `captions`: share of samples whose caption is learned, not the picture
    )
    vae_rule: SizeRule = VAE_RULE
    vit_rule: SizeRule = VIT_RULE  # applied to what `vae_rule` gives, as at inference

    @property
    def reasoning(self) -> bool:
        """Whether there is any reasoning, hence think tags."""
        return self.text_reasoning or self.visual_reasoning


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroundingTarget:
    """What the grounding losses need of one sample; ranges count from the first id of T1."""

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
        dry = DryBuilder(self.model, self.sequence, self.tokenizer)
        return sample_length(dry.build(example, draws).sample, self.model)

    def build(self, example: Example, draws: Draws) -> BuiltSample:
        """The plan of any example with its noises, times and drops drawn."""
        if isinstance(example, GroundingExample):
            return self._chain(example, draws)
        if isinstance(example, CaptionExample):
            items = self._caption(example, draws)
        elif isinstance(example, EditExample):
            source = self._sized(example.source)
            items = [
                *self._context_image("I", source, draws),
                self._text("c", example.instruction, draws),
                self._drawn("O", self._sized(example.edited), draws),
            ]
        elif isinstance(example, TextToImageExample):
            items = [
                self._text("c", example.caption, draws),
                self._drawn("O", self._sized(example.image), draws),
            ]
        elif isinstance(example, UnderstandingExample):
            answer = tuple(self.tokenizer.encode(example.answer)[0])
            items = [
                self._vit("I", self._sized(example.image)),
                TextItem(
                    name="question", ids=tuple(self.tokenizer.encode(example.question)[0]), droppable=False
                ),
                TextItem(name="answer", ids=answer, loss=True, droppable=False),
            ]
        return BuiltSample(sample=Sample(key=example.key, items=tuple(items)), target=None)

    def _caption(self, example: CaptionExample, draws: Draws) -> list[PlanItem]:
        """The caption from the picture, or the picture from the caption."""
        if draws.uniform("caption or picture") < self.sequence.described:
            ids = tuple(self.tokenizer.encode(example.caption)[0])
            caption = TextItem(name="caption", ids=ids, loss=True, droppable=False)
            return [self._vit("I", self._sized(example.image)), caption]
        picture = self._drawn("O", self._sized(example.image), draws)
        return [self._text("c", example.caption, draws), picture]

    def _chain(self, example: GroundingExample, draws: Draws) -> BuiltSample:
        sequence, items = self.sequence, list[PlanItem]()
        context = guidance_context(draws, sequence.drop_chain)
        # what a context for guidance lacks is absent rather than dropped: at inference it takes up no position there
        whole, texts, images = (
            context == "whole",
            context != "without text",
            context != "without image",
        )
        if sequence.system_prompt:
            ids = tuple(self.tokenizer.encode(GROUNDING_PROMPT)[0])
            items.append(TextItem(name="system", ids=ids, droppable=False))
        source, seen = self._sized(example.source), False
        if images:
            copies = self._context_image("I", source, draws, droppable=whole)
            seen = not all(copy.dropped for copy in copies)
            items += copies
        if texts:
            items.append(self._text("c", example.instruction, draws, droppable=whole))
        first: ChainText | None = None
        if sequence.reasoning and texts:
            sections = example.sections if sequence.text_reasoning else None
            first = first_text(sections, self.tokenizer, sequence.think_tags)
            loss = whole and (seen or sequence.ce_without_source)
            items.append(self._reasoning("T1", first, announces=sequence.visual_reasoning, loss=loss))
            if sequence.visual_reasoning and images:
                # V and O have the size of the resized source, so that all three grids agree
                grounded = self._resized(example.grounded, source.size)
                drawn = self._drawn("V drawn", grounded, draws)
                items += [drawn, *self._feedback(grounded, drawn.pixels, draws)]
            second = second_text(sections, self.tokenizer, sequence.think_tags)
            items.append(self._reasoning("T2", second, announces=True, loss=whole))
        items.append(self._drawn("O", self._resized(example.edited, source.size), draws))
        target = GroundingTarget(
            key=example.key,
            mask=torch.from_numpy(np.ascontiguousarray(example.mask)),
            marked=bool(example.mask.any()),
            image=source,
            content=first.content if first else range(0),
            second=first.second if first else range(0),
        )
        return BuiltSample(
            sample=Sample(key=example.key, items=tuple(items)), target=target if whole else None
        )

    def _reasoning(self, name: str, text: ChainText, *, announces: bool, loss: bool) -> TextItem:
        announces = announces and loss and self.sequence.announce_images
        label = self.model.tokens.image_start if announces else None
        return TextItem(name=name, ids=text.ids, loss=loss, closing_label=label, droppable=False)

    def _feedback(self, picture: Image.Image, pixels: Tensor, draws: Draws) -> list[PlanItem]:
        """V as context; its `pixels` are those of V drawn, by which the two share one encode."""
        items = list[PlanItem]()
        if self.sequence.feedback in ("both", "vae"):
            items.append(self._clean("V vae", pixels, draws))
        if self.sequence.feedback in ("both", "vit"):
            items.append(self._vit("V", picture))
        return items

    def _context_image(
        self, name: str, sized: Image.Image, draws: Draws, *, droppable: bool = True
    ) -> list[PlanItem]:
        """VAE copy, then ViT copy."""
        vae_dropped = droppable and draws.uniform(f"drop vae {name}") < self.sequence.drop_vae
        vit_dropped = droppable and draws.uniform(f"drop vit {name}") < self.sequence.drop_vit
        return [
            self._clean(f"{name} vae", self._pixels(sized), draws, droppable=droppable, dropped=vae_dropped),
            self._vit(name, sized, droppable=droppable, dropped=vit_dropped),
        ]

    def _text(self, name: str, text: str, draws: Draws, *, droppable: bool = True) -> TextItem:
        dropped = droppable and draws.uniform(f"drop text {name}") < self.sequence.drop_text
        ids = tuple(self.tokenizer.encode(text)[0])
        return TextItem(name=name, ids=ids, droppable=droppable, dropped=dropped)

    def _vit(
        self, name: str, sized: Image.Image, *, droppable: bool = False, dropped: bool = False
    ) -> VitItem:
        pixels = self._pixels(self._resized(sized, self.sequence.vit_rule.size(*sized.size)))
        return VitItem(name=name, pixels=pixels, droppable=droppable, dropped=dropped)

    def _sized(self, image: Image.Image) -> Image.Image:
        """The picture as the autoencoder sees it; the ViT sees this one resized again."""
        return self._resized(image, self.sequence.vae_rule.size(*image.size))

    def _clean(
        self,
        name: str,
        pixels: Tensor,
        draws: Draws,
        *,
        droppable: bool = False,
        dropped: bool = False,
    ) -> VaeItem:
        return VaeItem(
            name=name,
            pixels=pixels,
            vae_noise=self._vae_noise(name, pixels, draws),
            # t = 0 leaves it unused
            flow_noise=torch.zeros(self._tokens(pixels), self.model.latent_width, device=pixels.device),
            droppable=droppable,
            dropped=dropped,
        )

    def _drawn(self, name: str, sized: Image.Image, draws: Draws) -> VaeItem:
        pixels = self._pixels(sized)
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

    def _resized(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        return to_rgb(image).resize(size, Image.Resampling.BICUBIC)

    def _pixels(self, image: Image.Image) -> Tensor:
        return to_pixels(image)

    def _time(self, draws: Draws, name: str) -> float:
        return float(draws.normal(f"time {name}", 1))

    def _tokens(self, pixels: Tensor) -> int:
        side = self.model.pixels_per_latent_token
        return (pixels.shape[1] // side) * (pixels.shape[2] // side)


class DryBuilder(PlanBuilder):
    """Builds plans whose tensors have only a shape; drops are drawn as ever, on the CPU."""

    def _resized(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        return Image.new("1", size)

    def _pixels(self, image: Image.Image) -> Tensor:
        return torch.empty(3, image.height, image.width, device="meta")

    def _normal(self, draws: Draws, purpose: str, *shape: int) -> Tensor:
        return torch.empty(*shape, device="meta")

    def _time(self, draws: Draws, name: str) -> float:
        return 0.0


def guidance_context(draws: Draws, share: float) -> GuidanceContext:
    """Whether a sample keeps its chain, or is trained in one of the contexts for guidance, each with `share`."""
    number = draws.uniform("drop chain")
    if number < share:
        return "without text"
    return "without image" if number < 2 * share else "whole"
