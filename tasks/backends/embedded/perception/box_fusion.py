"""Fuses the boxes of several networks and views into one set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tasks.imaging.geometry import containment, iou
from tasks.records.records import Box
from tasks.roles.questions import Detection


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One network's box in picture pixels; ``network`` names the network."""

    network: str
    label: str
    box: Box
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucher:
    """A network that vouches for what others found, and names nothing alone but ``own_labels``.

    Attributes:
        weight: factor 0..1 on its scores of other labels.
        own_labels: those that no other network knows.
    """

    network: str
    weight: float
    own_labels: frozenset[str] = field(default_factory=frozenset)


def fuse(
    candidates: Sequence[Candidate],
    *,
    same_iou: float,
    nested_share: float,
    lone_discount: float,
    voucher: Voucher | None = None,
) -> list[Detection]:
    """Class-wise fusion, best first.

    Boxes of one class that overlap by ``same_iou``, or of which one holds the other (``nested_share`` of it,
    at a comparable size), are one object. Its box is the score-weighted mean of each network's best. Its score
    is the chance that not all networks are wrong, taking them as independent; where one network alone saw it,
    its score times ``lone_discount``. What only the ``voucher`` saw is dropped; its own labels keep their scores.
    """
    clusters: list[list[Candidate]] = []
    for candidate in sorted((_weighed(c, voucher) for c in candidates), key=_order):
        home = next((c for c in clusters if _same(candidate, c[0], same_iou, nested_share)), None)
        if home is None:
            clusters.append([candidate])
        else:
            home.append(candidate)
    fused = [
        _describe(cluster, same_iou, 1.0 if _owns(voucher, cluster[0]) else lone_discount)
        for cluster in clusters
        if _owns(voucher, cluster[0]) or any(voucher is None or c.network != voucher.network for c in cluster)
    ]
    return sorted(fused, key=lambda d: (-d.score, d.label, d.box.x0, d.box.y0, d.box.x1, d.box.y1))


def _owns(voucher: Voucher | None, candidate: Candidate) -> bool:
    return voucher is not None and candidate.label in voucher.own_labels


def _weighed(candidate: Candidate, voucher: Voucher | None) -> Candidate:
    if voucher is None or candidate.network != voucher.network or candidate.label in voucher.own_labels:
        return candidate
    return replace(candidate, score=candidate.score * voucher.weight)


def _order(candidate: Candidate) -> tuple[float, str, str, int, int, int, int]:
    b = candidate.box
    return -candidate.score, candidate.network, candidate.label, b.x0, b.y0, b.x1, b.y1


def _same(a: Candidate, b: Candidate, same_iou: float, nested_share: float) -> bool:
    if a.label != b.label:
        return False
    if iou(a.box, b.box) >= same_iou:
        return True
    small, large = (a.box, b.box) if a.box.area <= b.box.area else (b.box, a.box)
    return containment(small, large) >= nested_share and small.area >= 0.3 * large.area


def _describe(cluster: Sequence[Candidate], same_iou: float, lone_discount: float) -> Detection:
    leader = cluster[0]
    best: dict[str, Candidate] = {}
    for candidate in cluster:
        best.setdefault(candidate.network, candidate)
    agreeing = [c for c in best.values() if iou(c.box, leader.box) >= same_iou] or [leader]
    weight = sum(c.score for c in agreeing)
    x0, y0, x1, y1 = (
        round(sum(getattr(c.box, side) * c.score for c in agreeing) / weight)
        for side in ("x0", "y0", "x1", "y1")
    )
    if len(best) > 1:
        miss = 1.0
        for candidate in best.values():
            miss *= 1 - candidate.score
        score = 1 - miss
    else:
        score = leader.score * lone_discount
    return Detection(label=leader.label, box=Box(x0=x0, y0=y0, x1=x1, y1=y1), score=round(score, 4))
