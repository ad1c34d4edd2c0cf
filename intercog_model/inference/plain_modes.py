"""Plain BAGEL: understanding, text to image, editing, editing with thinking, and the crop editor."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from intercog_model.data.draws import Draws
from intercog_model.inference.context import Context
from intercog_model.inference.guidance import TEXT_TO_IMAGE_GUIDANCE
from intercog_model.inference.pipeline import Clock, EncodedImage, Pipeline, untimed
from intercog_model.inference.sampler import EDIT_SAMPLER, GuidedContexts, SamplerSettings

THINK_PROMPT = (
    "Before drawing, plan the picture inside <think></think>: what is wanted, and how it will look. "
    "Draw the picture after that."
)
TEXT_TO_IMAGE = SamplerSettings(guidance=TEXT_TO_IMAGE_GUIDANCE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EditResult:
    """An edited picture at the source's size, and the thought that led to it ("" without thinking)."""

    thought: str
    edited: Image.Image


def understand(pipeline: Pipeline, image: Image.Image, question: str, *, max_tokens: int = 1000) -> str:
    """Answer a question; the picture goes through the ViT alone."""
    context = Context(pipeline.model)
    encoded = pipeline.encode(image, Draws(0, "understand", 0), "I")
    pipeline.add_image(context, encoded, vae=False)
    context.add_text(pipeline.ids(question))
    return pipeline.tokenizer.decode(context.generate_text(max_tokens))


def text_to_image(
    pipeline: Pipeline,
    caption: str,
    size: tuple[int, int],
    *,
    seed: int,
    settings: SamplerSettings = TEXT_TO_IMAGE,
) -> Image.Image:
    """A picture of (height, width) pixels."""
    full = Context(pipeline.model)
    empty = full.fork()
    full.add_text(pipeline.ids(caption))
    # without pictures the context that lacks them is the full one
    contexts = GuidedContexts(full=full, without_text=empty, without_image=full)
    return pipeline.draw(contexts, size, settings, Draws(seed, "text to image", 0), "O")


def edit(
    pipeline: Pipeline,
    image: Image.Image,
    instruction: str,
    *,
    seed: int,
    settings: SamplerSettings = EDIT_SAMPLER,
    think: bool = False,
    max_tokens: int = 1000,
    thought_without_image: bool = False,
    ignore_end: bool = False,
    clock: Clock = untimed,
) -> EditResult:
    """Edit a picture; `think` plans first.

    `thought_without_image` adds the thought to the context without pictures too, as the published
    evaluation scripts do and the published inferencer does not.
    """
    draws = Draws(seed, "edit", 0)
    with clock("prompt"):
        source = pipeline.encode(image, draws, "I")
        contexts = _edit_contexts(pipeline, source, instruction, THINK_PROMPT if think else "")
    full, without_image = contexts.full, contexts.without_image
    assert without_image is not None
    thought = ""
    if think:
        with clock("thought"):
            thought = pipeline.tokenizer.decode(full.generate_text(max_tokens, ignore_end=ignore_end))
            full.add_text(pipeline.ids(thought))
            if thought_without_image:
                without_image.add_text(pipeline.ids(thought))
    with clock("O"):
        picture = pipeline.draw(contexts, source.size, settings, draws, "O")
    return EditResult(thought=thought, edited=picture.resize(image.size, Image.Resampling.BICUBIC))


def _edit_contexts(
    pipeline: Pipeline, source: EncodedImage, instruction: str, system_prompt: str = ""
) -> GuidedContexts:
    full = Context(pipeline.model)
    if system_prompt:
        full.add_text(pipeline.ids(system_prompt))
    without_image = full.fork()
    pipeline.add_image(full, source)
    without_text = full.fork()
    for context in (full, without_image):
        context.add_text(pipeline.ids(instruction))
    return GuidedContexts(full=full, without_text=without_text, without_image=without_image)


def edit_many(
    pipeline: Pipeline,
    images: Sequence[Image.Image],
    instructions: Sequence[str],
    *,
    seeds: Sequence[int],
    settings: SamplerSettings = EDIT_SAMPLER,
) -> list[Image.Image]:
    """What `edit` makes of each picture without thinking, with the sampler's steps taken together.

    Raises ValueError unless all pictures get one size by the VAE rule.
    """
    draws = [Draws(seed, "edit", 0) for seed in seeds]
    sources = [pipeline.encode(image, d, "I") for image, d in zip(images, draws, strict=True)]
    sizes = {source.size for source in sources}
    if len(sizes) > 1:
        raise ValueError(f"pictures of one batch have the sizes {sorted(sizes)}")
    contexts = [
        _edit_contexts(pipeline, source, instruction)
        for source, instruction in zip(sources, instructions, strict=True)
    ]
    drawn = pipeline.draw_many(contexts, sizes.pop(), settings, draws, "O") if sizes else []
    return [
        picture.resize(image.size, Image.Resampling.BICUBIC)
        for picture, image in zip(drawn, images, strict=True)
    ]


def edit_crop(
    pipeline: Pipeline,
    crop: NDArray[np.uint8],
    instruction: str,
    seed: int,
    settings: SamplerSettings = EDIT_SAMPLER,
) -> NDArray[np.uint8]:
    """The pipeline's crop editor: RGB (H, W, 3) in, RGB of the same size out."""
    result = edit(pipeline, _picture(crop), instruction, seed=seed, settings=settings)
    return np.array(result.edited)


def edit_crops(
    pipeline: Pipeline,
    crops: Sequence[NDArray[np.uint8]],
    instructions: Sequence[str],
    seeds: Sequence[int],
    settings: SamplerSettings = EDIT_SAMPLER,
) -> list[NDArray[np.uint8]]:
    """`edit_crop` for several crops; those that get one size by the VAE rule are edited together."""
    groups: dict[tuple[int, int], list[int]] = {}
    for n, crop in enumerate(crops):
        groups.setdefault(pipeline.vae_rule.size(crop.shape[1], crop.shape[0]), []).append(n)
    edited: dict[int, NDArray[np.uint8]] = {}
    for numbers in groups.values():
        found = edit_many(
            pipeline,
            [_picture(crops[n]) for n in numbers],
            [instructions[n] for n in numbers],
            seeds=[seeds[n] for n in numbers],
            settings=settings,
        )
        edited.update((n, np.array(picture)) for n, picture in zip(numbers, found, strict=True))
    return [edited[n] for n in range(len(crops))]


def _picture(crop: NDArray[np.uint8]) -> Image.Image:
    if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3:
        raise ValueError(f"expected uint8 (H, W, 3), got {crop.dtype} {crop.shape}")
    return Image.fromarray(crop)
