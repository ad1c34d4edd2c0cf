"""The chain of grounding: generate T1, draw V, generate T2, draw the edited picture."""

from dataclasses import dataclass

from PIL import Image

from intercog_model.data.chain_text import bare_texts
from intercog_model.data.draws import Draws
from intercog_model.inference.context import Context
from intercog_model.inference.pipeline import Clock, EncodedImage, Pipeline, untimed
from intercog_model.inference.sampler import EDIT_SAMPLER, GuidedContexts, SamplerSettings
from intercog_model.statement import TrainedChain


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSettings(TrainedChain):
    """How the chain is run, and what it consists of in the model's training (`Pipeline.chain`)."""

    sampler: SamplerSettings = EDIT_SAMPLER  # editing values for both pictures
    keep_v_without_text: bool = False  # True keeps V in the context that lacks the texts
    max_tokens: int = 1000  # of each text
    ignore_end: bool = False  # always generate max_tokens, for measurements


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChainResult:
    """What the chain made; pictures have the size of the source."""

    first_text: str
    grounded: Image.Image | None
    second_text: str
    edited: Image.Image


class _Branches:
    """The full context and its two guidance contexts, grown side by side."""

    def __init__(self, pipeline: Pipeline, settings: ChainSettings, image: EncodedImage) -> None:
        self.pipeline, self.settings = pipeline, settings
        self.full = Context(pipeline.model)
        if settings.system_prompt:
            self.full.add_text(pipeline.ids(settings.system_prompt))
        self.without_image = self.full.fork()
        pipeline.add_image(self.full, image)
        # the source is prefilled once; the context without texts ends here
        self.without_text = self.full.fork()

    def add_text(self, ids: list[int]) -> None:
        self.full.add_text(ids)
        self.without_image.add_text(ids)

    def add_grounded(self, image: EncodedImage) -> None:
        vae, vit = (self.settings.feedback in ("both", kind) for kind in ("vae", "vit"))
        self.pipeline.add_image(self.full, image, vae=vae, vit=vit)
        if self.settings.keep_v_without_text:
            self.pipeline.add_image(self.without_text, image, vae=vae, vit=vit)

    def draw(self, size: tuple[int, int], draws: Draws, name: str) -> Image.Image:
        contexts = GuidedContexts(
            full=self.full, without_text=self.without_text, without_image=self.without_image
        )
        return self.pipeline.draw(contexts, size, self.settings.sampler, draws, name)

    def reason(self, part: int) -> str:
        """Generate T1 (part 0) or T2 (1), or set the bare tags where the model was trained without text reasoning."""
        if not self.settings.text_reasoning:
            tags = bare_texts(self.settings.think_tags)[part]
            self.add_text(self.pipeline.ids(tags))
            return tags
        ids = self.full.generate_text(self.settings.max_tokens, ignore_end=self.settings.ignore_end)
        text = self.pipeline.tokenizer.decode(ids)
        # the decoded text is put back through the tokenizer, as in training
        self.add_text(self.pipeline.ids(text))
        return text


def run_chain(
    pipeline: Pipeline,
    image: Image.Image,
    instruction: str,
    settings: ChainSettings,
    seed: int,
    clock: Clock = untimed,
) -> ChainResult:
    """Run all steps; the same seed, picture and instruction give the same result.

    `clock` is entered with the name of each part: "prompt", "T1", "V", "V again", "T2", "O".
    """
    draws = Draws(seed, "chain", 0)
    with clock("prompt"):
        source = pipeline.encode(image, draws, "I")
        branches = _Branches(pipeline, settings, source)
        branches.add_text(pipeline.ids(instruction))
    first = second = ""
    grounded: Image.Image | None = None
    if settings.text_reasoning or settings.visual_reasoning:
        with clock("T1"):
            first = branches.reason(0)
        if settings.visual_reasoning:
            with clock("V"):
                grounded = branches.draw(source.size, draws, "V")
            with clock("V again"):
                branches.add_grounded(pipeline.encode(grounded, draws, "V"))
        with clock("T2"):
            second = branches.reason(1)
    with clock("O"):
        edited = branches.draw(source.size, draws, "O")
    return ChainResult(
        first_text=first,
        grounded=None if grounded is None else _fitted(grounded, image),
        second_text=second,
        edited=_fitted(edited, image),
    )


def _fitted(picture: Image.Image, source: Image.Image) -> Image.Image:
    """The picture at the source's size; both sides were rounded on their own before."""
    return picture.resize(source.size, Image.Resampling.BICUBIC)
