"""Looking again after a removal, with the same detector on the same windows as before."""

from __future__ import annotations

import numpy as np

from tasks.editing import gates
from tasks.editing.crop import union_box
from tasks.editing.gates import Gate
from tasks.editing.settings import GateSettings
from tasks.geometry import enlarge
from tasks.records import Box, EditPlan
from tasks.roles.protocols import Detection, Detector, Image, Mask

WINDOW_FACTORS = (2.0, 3.5)
"""Windows around the target, as factors of its box; the whole picture is looked at as well."""


def redetect(
    detector: Detector, plan: EditPlan, source: Image, edited: Image, hole: Mask, settings: GateSettings
) -> tuple[Gate, Gate, Gate]:
    """Found before, gone after, nothing new: over all windows in which the target was found before.

    A window in which it was not found proves nothing and is left out; when there is none, the first gate says so.
    """
    height, width = source.shape[:2]
    target = union_box([o.box for o in plan.target.objects])
    label = plan.target.label
    windows = [enlarge(target, factor, 64, width, height) for factor in WINDOW_FACTORS]
    windows.append(Box(x0=0, y0=0, x1=width, y1=height))
    before = _look(detector, source, windows, label)
    after = _look(detector, edited, windows, label)
    found = [
        (b, a)
        for b, a in zip(before, after, strict=True)
        if gates.found_before_gate(b, target, label, settings).passed
    ]
    pairs = found or list(zip(before, after, strict=True))
    others = [
        o.box for o in plan.target.scene.objects if o.index not in plan.target.indices and o.label == label
    ]
    seen = [d for b, _ in pairs for d in b]
    now = [d for _, a in pairs for d in a]
    return (
        gates.found_before_gate(seen, target, label, settings),
        gates.gone_gate(now, others, target, label, hole, settings),
        gates.new_object_gate(seen, now, label, hole, settings),
    )


def _look(detector: Detector, image: Image, windows: list[Box], label: str) -> list[tuple[Detection, ...]]:
    """Detections of each window, moved into the picture's pixels."""
    cuts = [np.ascontiguousarray(image[w.y0 : w.y1, w.x0 : w.x1]) for w in windows]
    answers = detector.detect(cuts, [[label]] * len(cuts))
    return [tuple(_moved(d, w) for d in answer) for answer, w in zip(answers, windows, strict=True)]


def _moved(found: Detection, window: Box) -> Detection:
    box = found.box
    return Detection(
        label=found.label,
        score=found.score,
        box=Box(x0=box.x0 + window.x0, y0=box.y0 + window.y0, x1=box.x1 + window.x0, y1=box.y1 + window.y0),
    )
