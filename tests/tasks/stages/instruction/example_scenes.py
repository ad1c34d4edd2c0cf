"""Small scenes built by hand, whose facts can be checked by eye: things on a 1000 x 800 picture."""

from __future__ import annotations

from tasks.records.records import (
    Box,
    Distractor,
    GroundedTarget,
    Rle,
    Scene,
    SceneObject,
    SourceImage,
)

WIDTH, HEIGHT = 1000, 800

LABS = {
    "red": (45.0, 60.0, 40.0),
    "orange": (65.0, 40.0, 60.0),
    "yellow": (82.0, 5.0, 75.0),
    "green": (48.0, -40.0, 30.0),
    "blue": (40.0, 10.0, -45.0),
    "purple": (38.0, 40.0, -35.0),
    "pink": (72.0, 40.0, 5.0),
    "brown": (38.0, 14.0, 24.0),
    "black": (14.0, 0.0, 0.0),
    "white": (90.0, 0.0, 2.0),
    "gray": (55.0, 0.0, 0.0),
    "mixed": (50.0, 5.0, 5.0),
}
"""A typical Lab value of each color name."""


def thing(
    label: str,
    box: tuple[int, int, int, int],
    color: str = "mixed",
    *,
    score: float = 0.85,
    share: float | None = None,
    not_a_target: str = "",
    part_of: int | None = None,
) -> dict[str, object]:
    """A thing for `scene`; ``share`` defaults to 0.92 for a named color and 0.4 for a mixed one.

    ``part_of`` is the number of its whole among the scene's things.
    """
    if share is None:
        share = 0.4 if color == "mixed" else 0.92
    return {
        "label": label,
        "box": box,
        "color": color,
        "score": score,
        "share": share,
        "not_a_target": not_a_target,
        "part_of": part_of,
    }


def scene(things: list[dict[str, object]], weak: tuple[tuple[object, ...], ...] = ()) -> Scene:
    """A scene of things and of weak detections ``(label, box, score)``; masks are left empty."""
    rle = Rle(height=HEIGHT, width=WIDTH, counts="PPYo0")
    objects = tuple(
        SceneObject(
            index=index,
            label=item["label"],
            box=Box(x0=item["box"][0], y0=item["box"][1], x1=item["box"][2], y1=item["box"][3]),
            mask=rle,
            score=item["score"],
            mask_score=0.8,
            mask_method="drawn",
            area=int(0.7 * (item["box"][2] - item["box"][0]) * (item["box"][3] - item["box"][1])),
            color=item["color"],
            color_share=item["share"],
            lab=LABS[item["color"]],
            checks=(),
            not_a_target=item["not_a_target"],
            part_of=item["part_of"],
        )
        for index, item in enumerate(things)
    )
    distractors = tuple(
        Distractor(label=label, box=Box(x0=b[0], y0=b[1], x1=b[2], y1=b[3]), score=score)
        for label, b, score in weak
    )
    source = SourceImage(
        sid="a" * 26,
        location="drawn/scene.jpg",
        sha256="0" * 64,
        working_sha256="0" * 64,
        width=WIDTH,
        height=HEIGHT,
        original_format="JPEG",
        actions=(),
        license="unstated (drawn)",
        hints=(),
        fingerprint="0" * 16,
    )
    return Scene(source=source, tags=(), objects=objects, distractors=distractors, models=())


def target(whole: Scene, *indices: int, name: str = "t0") -> GroundedTarget:
    """The thing (or things) of a scene as a target."""
    return GroundedTarget(
        target_id=f"{whole.source.sid}-{name}",
        scene=whole,
        indices=indices,
        mask=whole.objects[indices[0]].mask,
        judgement=(),
        models=(),
    )


def desk() -> Scene:
    """A laptop between a white cup and a plant, a blue book at the right end."""
    return scene(
        [
            thing("laptop", (350, 250, 620, 480), "gray"),
            thing("cup", (180, 400, 260, 490), "white"),
            thing("potted plant", (700, 200, 820, 450), "green"),
            thing("book", (860, 430, 960, 500), "blue"),
        ]
    )


def cups() -> Scene:
    """Three cups in a row, white, red and white, and a laptop right of them."""
    return scene(
        [
            thing("cup", (80, 400, 160, 490), "white"),
            thing("cup", (260, 400, 345, 490), "red"),
            thing("cup", (440, 405, 520, 495), "white"),
            thing("laptop", (640, 250, 900, 500), "gray"),
        ]
    )


def street() -> Scene:
    """Three people, a bus behind, a red car on the right."""
    return scene(
        [
            thing("bus", (250, 150, 650, 460), "blue"),
            thing("person", (60, 330, 150, 640), "black"),
            thing("person", (300, 380, 370, 600)),
            thing("person", (540, 390, 600, 600)),
            thing("car", (720, 400, 960, 560), "red"),
        ]
    )


def living_room() -> Scene:
    """Chairs at a table, a sofa, a big and a small vase."""
    return scene(
        [
            thing("couch", (40, 350, 360, 600), "gray"),
            thing("chair", (420, 400, 520, 620), "orange"),
            thing("chair", (560, 420, 640, 600), "white"),
            thing("chair", (850, 400, 960, 640), "white"),
            thing("dining table", (500, 480, 840, 680), "brown"),
            thing("vase", (640, 380, 700, 480), "blue"),
        ]
    )


def garments() -> Scene:
    """Three people in clothes of clear colors, the middle one next to a dog, a bench at the left end."""
    return scene(
        [
            thing("person", (250, 250, 350, 650), "red"),
            thing("person", (470, 240, 580, 650), "white"),
            thing("person", (850, 260, 950, 660), "green"),
            thing("top", (260, 310, 340, 440), "red", part_of=0),
            thing("trousers", (265, 440, 335, 620), "blue", part_of=0),
            thing("top", (480, 300, 570, 430), "white", part_of=1),
            thing("trousers", (485, 430, 565, 620), "black", part_of=1),
            thing("jacket", (860, 320, 940, 460), "green", part_of=2),
            thing("dog", (590, 540, 690, 655), "brown"),
            thing("bench", (20, 480, 200, 640), "brown"),
        ]
    )


def tall_and_short() -> Scene:
    """A tall person in a dress and a short one in a shirt and shorts on one line, a car behind, a handbag."""
    return scene(
        [
            thing("person", (300, 200, 400, 700), "red"),
            thing("person", (600, 330, 690, 705)),
            thing("dress", (310, 270, 390, 560), "red", part_of=0),
            thing("shirt", (610, 390, 680, 500), "yellow", part_of=1),
            thing("shorts", (615, 500, 675, 580), "blue", part_of=1),
            thing("handbag", (600, 520, 640, 580), "black"),
            thing("car", (720, 350, 960, 560), "white"),
        ]
    )


ALL = (desk, cups, street, living_room, garments, tall_and_short)
"""All scenes, for tests that run over all targets."""
