"""Chooses which objects of a scene become targets: seeded, one or more, alone or in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from tasks.imaging.geometry import intersection
from tasks.records.records import SceneObject
from tasks.records.seeds import unit_interval


def choose_targets(
    objects: Sequence[SceneObject], *, sid: str, seed: int, max_targets: int, groups: bool
) -> list[tuple[int, ...]]:
    """Indices of each chosen target, best first.

    Every object without ``not_a_target`` is a candidate; with ``groups`` so is each pair of candidates of one
    class that do not overlap and are no parts. Where parts (garments) and objects of their own both qualify, both
    are among the chosen ones, if two or more are asked for: they allow different edits. A candidate's rank depends
    only on (seed, sid, its boxes), so another object more or less does not reorder the rest.
    """
    free = [o for o in objects if not o.not_a_target]
    candidates: list[tuple[SceneObject, ...]] = [(o,) for o in free]
    if groups:
        candidates += [
            (a, b)
            for a, b in combinations([o for o in free if o.part_of is None], 2)
            if a.label == b.label and not intersection(a.box, b.box)
        ]
    ranked = sorted(candidates, key=lambda c: unit_interval(seed, sid, "target:" + _name(c)))
    chosen = ranked[:max_targets]
    if max_targets > 1 and len({_is_part(c) for c in chosen}) == 1:
        others = [c for c in ranked[max_targets:] if _is_part(c) != _is_part(chosen[0])]
        chosen[-1:] = others[:1] or chosen[-1:]
    return [tuple(o.index for o in c) for c in chosen]


def _is_part(candidate: Sequence[SceneObject]) -> bool:
    return candidate[0].part_of is not None


def _name(candidate: Sequence[SceneObject]) -> str:
    return ";".join(f"{o.label},{o.box.x0},{o.box.y0},{o.box.x1},{o.box.y1}" for o in candidate)
