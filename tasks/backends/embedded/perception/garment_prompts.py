"""Where the garments of a person are, by the pose: points inside and outside for Segment Anything 2."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tasks.backends.embedded.perception.person_pose import KEYPOINTS, Point, Pose
from tasks.imaging.arrays import Mask
from tasks.records.records import Box

SURE_POINT, SURE_SHOULDER = 0.3, 0.2
"""Confidence from which a keypoint is used; the mask's own checks also tell wrong shoulders."""

MAX_DOUBT = 0.25
"""Distance of a keypoint's two looks, as a share of the shoulders' width, from which it is not used."""

MIN_SHOULDERS_PX = 24.0
"""Width of the shoulders, or length of the trunk, below which a garment has too few pixels."""

TRUNK, TRUNK_BY_HEAD = 1.35, 1.8
"""Length of the trunk, where the hips are not seen, over the shoulders' width of a person seen from the front, and over
the distance of head and shoulders; the second counts for persons seen from the side."""

LEAST_INSIDE = 2
"""Points on the wearer without which no garment is asked for."""

FACE = ("nose", "left eye", "right eye", "left ear", "right ear")
"""Keypoints of the head."""

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GarmentPrompt:
    """What to ask for one garment.

    Attributes:
        inside, outside: points (x, y) in the picture's pixels.
        scale: length of the trunk in pixels, to measure by.
    """

    inside: Points
    outside: Points
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Body:
    """The lines of a body that garments follow; all points (x, y) in the picture's pixels, None where not seen.

    Attributes:
        left, right: the shoulders.
        neck, waist: middle of the shoulders and of the hips; the waist is guessed where ``hips_seen`` is false.
        hips: both, empty where one is not seen.
        head: those of nose, eyes and ears that are seen; eyes: the middle of both.
        elbows, wrists, knees, ankles: left and right.
        scale: length of the trunk in pixels.
    """

    left: Point
    right: Point
    neck: Point
    waist: Point
    hips_seen: bool
    hips: tuple[Point, ...]
    head: tuple[Point, ...]
    nose: Point | None
    eyes: Point | None
    elbows: tuple[Point | None, Point | None]
    wrists: tuple[Point | None, Point | None]
    knees: tuple[Point | None, Point | None]
    ankles: tuple[Point | None, Point | None]
    scale: float

    @property
    def shoulders(self) -> float:
        """Distance of the shoulders in pixels."""
        return float(np.hypot(*(self.left - self.right)))


def body_of(pose: Pose, box: Box) -> Body | None:
    """The body in a person's box; None where the shoulders are uncertain, too small or upside down."""
    left, right = pose.at("left shoulder"), pose.at("right shoulder")
    width = float(np.hypot(*(left - right)))
    hips = [pose.at(f"{side} hip") for side in ("left", "right")]
    trunk = float(np.hypot(*((left + right) / 2 - (hips[0] + hips[1]) / 2)))
    unit = max(width, 0.5 * trunk)

    def seen(name: str, least: float = SURE_POINT) -> Point | None:
        index = KEYPOINTS.index(name)
        inside = box.x0 <= pose.points[index][0] <= box.x1 and box.y0 <= pose.points[index][1] <= box.y1
        sure = pose.scores[index] >= least and pose.doubt[index] <= MAX_DOUBT * unit
        return pose.points[index] if sure and inside else None

    if seen("left shoulder", SURE_SHOULDER) is None or seen("right shoulder", SURE_SHOULDER) is None:
        return None
    hips_seen = seen("left hip") is not None and seen("right hip") is not None
    neck = (left + right) / 2
    head = [p for name in FACE if (p := seen(name)) is not None]
    by_head = TRUNK_BY_HEAD * float(np.hypot(*(np.mean(head, axis=0) - neck))) if head else 0.0
    waist = (hips[0] + hips[1]) / 2 if hips_seen else neck + np.array([0.0, max(TRUNK * width, by_head)])
    scale = float(np.hypot(*(waist - neck)))
    if scale < MIN_SHOULDERS_PX or waist[1] <= neck[1]:
        return None
    both = [p for name in ("left eye", "right eye") if (p := seen(name)) is not None]
    eyes = np.mean(both, axis=0) if both else None
    return Body(
        left=left,
        right=right,
        neck=neck,
        waist=waist,
        hips_seen=hips_seen,
        hips=tuple(hips) if hips_seen else (),
        head=tuple(head),
        nose=seen("nose"),
        eyes=eyes,
        elbows=(seen("left elbow"), seen("right elbow")),
        wrists=(seen("left wrist"), seen("right wrist")),
        knees=(seen("left knee"), seen("right knee")),
        ankles=(seen("left ankle"), seen("right ankle")),
        scale=scale,
    )


def upper_prompt(body: Body) -> GarmentPrompt:
    """The trunk, without head, hands and legs."""
    chest, side = 0.6 * body.neck + 0.4 * body.waist, 0.28
    inside = [
        0.7 * body.neck + 0.3 * body.waist,
        0.4 * body.neck + 0.6 * body.waist,
        *((1 - side) * shoulder + side * chest for shoulder in (body.left, body.right)),
    ]
    outside = [*body.head[:3]]
    outside += [wrist for wrist in body.wrists if wrist is not None]
    outside += [(knee + body.waist) / 2 for knee in body.knees if knee is not None and body.hips_seen]
    return GarmentPrompt(inside=_plain(inside), outside=_plain(outside), scale=body.scale)


def lower_prompt(body: Body) -> GarmentPrompt | None:
    """Thighs, without trunk, hands and feet; None where hips or knees are not seen."""
    legs = [(hip, knee) for hip, knee in zip(body.hips, body.knees, strict=False) if knee is not None]
    if len(legs) < 2:
        return None
    inside = [hip * (1 - t) + knee * t for hip, knee in legs for t in (0.3, 0.65)]
    outside = [body.neck * 0.5 + body.waist * 0.5, *body.head[:1]]
    outside += [wrist for wrist in body.wrists if wrist is not None]
    return GarmentPrompt(inside=_plain(inside), outside=_plain(outside), scale=body.scale)


def on_wearer(prompt: GarmentPrompt, wearer: Mask) -> GarmentPrompt | None:
    """The prompt without inside points that are not on the wearer's mask (H, W), such as on a laptop before the waist.

    None where fewer than `LEAST_INSIDE` are left.
    """
    height, width = wearer.shape
    kept = tuple(
        (x, y)
        for x, y in prompt.inside
        if 0 <= round(x) < width and 0 <= round(y) < height and wearer[round(y), round(x)]
    )
    return replace(prompt, inside=kept) if len(kept) >= LEAST_INSIDE else None


def _plain(points: list[Point]) -> Points:
    return tuple((float(x), float(y)) for x, y in points)
