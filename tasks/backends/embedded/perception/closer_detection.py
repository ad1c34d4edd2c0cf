"""Doubtful boxes are looked at closer: what two networks name again in a window around it is surer than before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.backends.embedded.perception.box_fusion import Candidate
from tasks.imaging.geometry import iou
from tasks.roles.questions import Detection

DOUBTFUL = (0.4, 0.9)
"""Scores of what is looked at closer: fainter things are hardly ever there, and surer ones need no proof."""

NAMED_FROM = 0.4
"""Score from which a network names the thing in the window."""

NAMING = 2
"""Networks that must do so."""

RIVAL = 0.6
"""Score of another label in the same place, in shares of the second best score for the own one, that undoes it."""


def confirmed(detection: Detection, seen: Sequence[Candidate], same_iou: float) -> Detection:
    """The detection, its score raised where networks name it again in what is ``seen`` of a window.

    The new score is the chance that not both of the surest networks are wrong. No box is moved, and none is added,
    since a window may cut other things.
    """
    here = [c for c in seen if iou(c.box, detection.box) >= same_iou]
    best: dict[str, float] = {}
    for candidate in here:
        if candidate.label == detection.label:
            best[candidate.network] = max(candidate.score, best.get(candidate.network, 0.0))
    surest = sorted(best.values(), reverse=True)[:NAMING]
    if len(surest) < NAMING or surest[-1] < NAMED_FROM:
        return detection
    if any(c.label != detection.label and c.score >= RIVAL * surest[-1] for c in here):
        return detection
    score = 1 - (1 - surest[0]) * (1 - surest[1])
    return replace(detection, score=max(detection.score, round(score, 4)))
