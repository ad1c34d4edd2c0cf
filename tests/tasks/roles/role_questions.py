"""Good questions of each role, two or three with different answers, for any backend to be asked."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from tasks.backends.assets import PHOTOGRAPHS, AssetCache, default_cache_folder
from tasks.imaging.arrays import Image, Mask
from tasks.records.errors import Reason, SampleError
from tasks.records.measuring import measure
from tasks.records.records import Box, EditType
from tasks.roles.picture import Picture
from tasks.roles.questions import (
    Detection,
    DetectQuestion,
    EditJudgeQuestion,
    EditQuestion,
    InpaintQuestion,
    InstructQuestion,
    ReferQuestion,
    RewriteQuestion,
    SegmentQuestion,
    TagQuestion,
    TargetQuestion,
)
from tests.tasks.stages.instruction.example_scenes import cups, scene, street, target, thing

NAMES = ("cup-of-coffee-on-table-in-cafe-2.jpg", "home-office-laptop-organizer-and-cup-of-coffee.jpg")
SIDE = (384, 256)


@cache
def photograph(number: int, size: tuple[int, int] = SIDE) -> Picture:
    """A cup beside a laptop (0), a desk with a laptop (1); small, so that a test takes seconds."""
    path = AssetCache(default_cache_folder()).path(PHOTOGRAPHS["demo"][0], NAMES[number])
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert image is not None
    return Picture.of_pixels(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8))


def damaged() -> Picture:
    """A picture whose stored bytes have another digest: opening it is an error of its own sample."""

    def make() -> Image:
        raise SampleError(Reason.SOURCE_CHANGED, "another digest")

    return Picture.of_blob("0" * 64, make)


def unseen() -> Picture:
    """A picture that must not be looked at; for backends that work on words and records."""

    def make() -> Image:
        raise AssertionError("this backend has no need to look at pixels")

    return Picture.of_blob("1" * 64, make)


def blank() -> Picture:
    """A black picture, for backends that do not look."""
    return Picture.of_pixels(np.zeros((4, 4, 3), np.uint8))


def grain(seed: int, shape: tuple[int, int] = (90, 120)) -> Image:
    """Soft random texture."""
    noise = np.random.default_rng(seed).integers(60, 200, (*shape, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 1.5), np.uint8)


def block(x0: int, y0: int, x1: int, y1: int, shape: tuple[int, int] = (90, 120)) -> Mask:
    """A rectangle as a mask."""
    mask = np.zeros(shape, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def tag_questions() -> tuple[TagQuestion, ...]:
    """The two photographs."""
    return tuple(TagQuestion(subject=f"tag {n}", picture=photograph(n)) for n in (0, 1))


def detect_questions() -> tuple[DetectQuestion, ...]:
    """The two photographs, with names as a tagger would give them."""
    return tuple(
        DetectQuestion(subject=f"detect {n}", picture=photograph(n), names=("cup", "laptop")) for n in (0, 1)
    )


def segment_questions() -> tuple[SegmentQuestion, ...]:
    """A laptop and a vase on the desk, the cup in the other photograph, and no box at all."""
    laptop = Detection(label="laptop", box=Box(x0=200, y0=75, x1=310, y1=165), score=0.9)
    vase = Detection(label="vase", box=Box(x0=95, y0=30, x1=130, y1=145), score=0.9)
    cup = Detection(label="cup", box=Box(x0=130, y0=40, x1=220, y1=110), score=0.9)
    return (
        SegmentQuestion(subject="desk", picture=photograph(1), detections=(laptop, vase)),
        SegmentQuestion(subject="cup", picture=photograph(0), detections=(cup,)),
        SegmentQuestion(subject="no box", picture=photograph(0), detections=()),
    )


def target_questions() -> tuple[TargetQuestion, ...]:
    """A red bottle beside another, and the couch that fills the picture."""
    whole = scene(
        [
            thing("bottle", (100, 100, 200, 300), "red"),
            thing("bottle", (500, 100, 600, 300)),
            thing("couch", (10, 20, 990, 780)),
        ]
    )
    image = np.full((whole.source.height, whole.source.width, 3), 220, np.uint8)
    image[100:300, 100:200] = (180, 20, 20)
    picture = Picture.of_pixels(image)
    boxes = {0: (100, 100, 200, 300), 2: (10, 20, 990, 780)}
    return tuple(
        TargetQuestion(
            subject=f"target {index}",
            picture=picture,
            marked=picture,
            mask=block(*box, shape=image.shape[:2]),
            target=target(whole, index),
        )
        for index, box in boxes.items()
    )


def instruct_question(
    indices: tuple[int, ...] = (1,),
    edit_type: EditType = EditType.COLOR,
    argument: str = "blue",
    seed: int = 0,
) -> InstructQuestion:
    """About the cups on the drawn table."""
    return InstructQuestion(
        subject="cups",
        seed=seed,
        picture=blank(),
        boxed=blank(),
        target=target(cups(), *indices),
        edit_type=edit_type,
        argument=argument,
    )


def instruct_questions() -> tuple[InstructQuestion, ...]:
    """One cup recolored, another removed, a third one by another seed."""
    return (
        instruct_question(),
        instruct_question((0,), EditType.REMOVE, "none"),
        instruct_question((2,), seed=5),
    )


def rewrite_questions() -> tuple[RewriteQuestion, ...]:
    """Instructions of two types, and one in words of its own."""
    texts = (
        ("Remove the cup closest to the laptop.", EditType.REMOVE),
        ("Change the color of the second cup from the left to blue.", EditType.COLOR),
        ("Do something odd to the third chair from the right.", EditType.ACTION),
    )
    return tuple(
        RewriteQuestion(subject=text, seed=seed, instruction=text, edit_type=edit_type)
        for seed, (text, edit_type) in enumerate(texts)
    )


def refer_question(instruction: str) -> ReferQuestion:
    """About the drawn cups."""
    return ReferQuestion(
        subject=instruction, picture=blank(), numbered=blank(), instruction=instruction, scene=cups()
    )


def refer_questions() -> tuple[ReferQuestion, ...]:
    """Words that fit one cup, another, two; and one about another scene."""
    walker = ReferQuestion(
        subject="street",
        picture=blank(),
        numbered=blank(),
        instruction="Erase the person closest to the camera.",
        scene=street(),
    )
    words = ("Remove the leftmost cup.", "Get rid of the red cup.", "Get rid of the white cup.")
    return (*(refer_question(text) for text in words), walker)


def edit_question(
    edit_type: EditType = EditType.COLOR, argument: str = "blue", mask: Mask | None = None, seed: int = 1
) -> EditQuestion:
    """A reddish block on soft texture."""
    inside = block(30, 25, 80, 65)
    image = grain(4)
    image[inside] = (180, 50, 40)
    return EditQuestion(
        subject=f"{edit_type} {argument}",
        seed=seed,
        picture=Picture.of_pixels(image),
        mask=inside if mask is None else mask,
        label="cup",
        edit_type=edit_type,
        argument=argument,
        instruction=f"Make the cup {argument}.",
        source=Picture.of_pixels(image),
        crop=Box(x0=0, y0=0, x1=120, y1=90),
        target=target(cups(), 1),
    )


def edit_questions() -> tuple[EditQuestion, ...]:
    """Two colors and an effect."""
    return (
        edit_question(),
        edit_question(argument="green", seed=2),
        edit_question(EditType.APPEARANCE, "sepia"),
    )


def inpaint_question(
    picture: Picture, hole: Mask, seed: int = 1, avoid: Mask | None = None
) -> InpaintQuestion:
    """A window to fill."""
    return InpaintQuestion(subject="window", seed=seed, picture=picture, hole=hole, avoid=avoid)


def inpaint_questions() -> tuple[InpaintQuestion, ...]:
    """Stripes, texture, and texture with pixels to avoid."""
    rows = (np.arange(90) // 10 % 2 * 120 + 60).astype(np.uint8)
    stripes = np.broadcast_to(rows[:, None, None], (90, 120, 3)).copy()
    hole = block(45, 30, 75, 60)
    return (
        inpaint_question(Picture.of_pixels(stripes), hole),
        inpaint_question(Picture.of_pixels(grain(7)), hole, seed=2),
        inpaint_question(Picture.of_pixels(grain(8)), hole, seed=3, avoid=block(80, 0, 120, 90)),
    )


def judge_question(edit_type: EditType, **values: float) -> EditJudgeQuestion:
    """A finished edit with these measurements."""
    gates = tuple(measure(name, value) for name, value in values.items())
    return EditJudgeQuestion(
        subject=f"judge {values}",
        source=blank(),
        edited=blank(),
        source_boxed=blank(),
        edited_boxed=blank(),
        instruction="Do it.",
        edit_type=edit_type,
        argument="blue",
        crop=Box(x0=0, y0=0, x1=40, y1=40),
        mask=block(10, 10, 30, 30, (40, 40)),
        gates=gates,
    )
