"""Answers as JSON values and blobs, one spelling per role; ``answer -> (JSON, blobs) -> answer`` is the identity.

The spelling belongs to `answer_files.FORMAT`: records may change their shape, kept answers stay readable. Masks are
COCO run lengths, images PNG blobs, numbers of numpy become plain ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import from_rle, to_rle
from tasks.imaging.pixels import decode_rgb, encode_png
from tasks.records.errors import DataFault, SampleError
from tasks.records.records import Box, Measurement, Reasoning, Rle, Tag
from tasks.roles.questions import (
    Answer,
    Detection,
    EditScores,
    Referents,
    Segmentation,
    TargetVerdict,
    TextVerdict,
    WrittenInstruction,
)

IMAGE_BLOB = "answer.png"
"""Blob of an editor's or inpainter's answer, as given: (H, W, 3) uint8 RGB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedAnswer:
    """An answer as a JSON value and blobs by name."""

    value: Any
    blobs: Mapping[str, bytes]


def encode_answer(role: str, answer: Answer) -> EncodedAnswer:
    """The answer of a role as JSON and blobs.

    Raises:
        ValueError: an image of another shape or type than (H, W, 3) uint8. Numbers that JSON cannot hold are found
            when the JSON is written.
    """
    if role in ("editor", "inpainter"):
        image: Any = answer
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            msg = f"{role}: expected an image (H, W, 3) uint8, got {image.shape} {image.dtype}"
            raise ValueError(msg)
        size = {"height": image.shape[0], "width": image.shape[1]}
        return EncodedAnswer(value=size, blobs={IMAGE_BLOB: encode_png(image)})
    return EncodedAnswer(value=plain(_SPELLED[role][0](answer)), blobs={})


def decode_answer(role: str, value: Any, blobs: Mapping[str, bytes], path: str) -> Answer:
    """The answer that `encode_answer` spelled.

    Raises:
        DataFault: naming ``path``, when JSON or blob is no answer of this role.
    """
    try:
        if role in ("editor", "inpainter"):
            return _image(value, blobs[IMAGE_BLOB])
        answer: Answer = _SPELLED[role][1](value)
    except (KeyError, TypeError, ValueError, IndexError, SampleError) as error:
        msg = f"{path}: no answer of a role {role!r} ({error})"
        raise DataFault(msg) from error
    return answer


def plain(value: Any) -> Any:
    """``value`` with tuples as lists and numbers of numpy as Python's, ready for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def spell_measurements(items: Sequence[Measurement]) -> list[dict[str, Any]]:
    """Measurements as JSON values."""
    return [plain(asdict(item)) for item in items]


def measurements_from(items: Sequence[Mapping[str, Any]]) -> tuple[Measurement, ...]:
    """The measurements that `spell_measurements` spelled. Raises `TypeError` for a shape of another format."""
    return tuple(Measurement(**item) for item in items)


def _image(value: Mapping[str, int], data: bytes) -> Image:
    image = decode_rgb(data)
    if image.shape != (value["height"], value["width"], 3):
        msg = f"the picture has the shape {image.shape}"
        raise ValueError(msg)
    return image


def _corners(box: Box) -> list[int]:
    return [box.x0, box.y0, box.x1, box.y1]


def _box(corners: list[int]) -> Box:
    x0, y0, x1, y1 = corners
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def _runs(mask: Mask) -> dict[str, Any]:
    return asdict(to_rle(mask))


def _segmentation(item: Mapping[str, Any]) -> Segmentation:
    return Segmentation(
        mask=from_rle(Rle(**item["mask"])),
        score=item["score"],
        method=item["method"],
        checks=measurements_from(item["checks"]),
    )


def _referents(found: Any) -> Referents:
    # Earlier versions kept the objects alone.
    value = {"objects": found, "boxes": []} if isinstance(found, list) else found
    return Referents(
        objects=tuple(int(index) for index in value["objects"]), boxes=tuple(map(_box, value["boxes"]))
    )


def _words(value: Any) -> str:
    if not isinstance(value, str):
        msg = f"expected a text, got {value!r}"
        raise TypeError(msg)
    return value


_SPELLED: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "tagger": (
        lambda tags: [{"name": t.name, "score": t.score} for t in tags],
        lambda items: tuple(Tag(name=i["name"], score=i["score"]) for i in items),
    ),
    "detector": (
        lambda found: [{"label": d.label, "box": _corners(d.box), "score": d.score} for d in found],
        lambda items: tuple(Detection(label=i["label"], box=_box(i["box"]), score=i["score"]) for i in items),
    ),
    "segmenter": (
        lambda found: [
            {
                "mask": _runs(s.mask),
                "score": s.score,
                "method": s.method,
                "checks": spell_measurements(s.checks),
            }
            for s in found
        ],
        lambda items: tuple(_segmentation(i) for i in items),
    ),
    "target_judge": (
        lambda v: {
            "precise": v.precise,
            "hard": v.hard,
            "together": v.together,
            "measurements": spell_measurements(v.measurements),
        },
        lambda i: TargetVerdict(
            precise=i["precise"],
            hard=i["hard"],
            together=i.get("together", False),
            measurements=measurements_from(i["measurements"]),
        ),
    ),
    "instructor": (
        asdict,
        lambda i: WrittenInstruction(**{**i, "reasoning": Reasoning(**i["reasoning"])}),
    ),
    "rewriter": (_words, _words),
    "referrer": (
        lambda v: {"objects": list(v.objects), "boxes": [_corners(box) for box in v.boxes]},
        _referents,
    ),
    "text_judge": (
        lambda v: {"agreement": v.agreement, "measurements": spell_measurements(v.measurements)},
        lambda i: TextVerdict(agreement=i["agreement"], measurements=measurements_from(i["measurements"])),
    ),
    "edit_judge": (
        lambda v: {
            "accuracy": v.accuracy,
            "seamlessness": v.seamlessness,
            "measurements": spell_measurements(v.measurements),
        },
        lambda i: EditScores(
            accuracy=i["accuracy"],
            seamlessness=i["seamlessness"],
            measurements=measurements_from(i["measurements"]),
        ),
    ),
}
"""Role -> (answer to JSON value, JSON value to answer), for the roles whose answers are no image."""
