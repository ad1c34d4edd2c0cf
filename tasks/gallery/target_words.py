"""How the gallery names a target: its label, and for a part whose it is."""

from __future__ import annotations

from tasks.publishing.shard_format import ObjectShape, SampleMeta
from tasks.records.records import GroundedTarget


def released_target(meta: SampleMeta) -> str:
    """The target of a released sample: ``cup``, ``shirt (of person 3)``; the number is that of the scene's table."""
    first = next((o for o in meta.objects if o.index == meta.target.indices[0]), None)
    return meta.target.label + ("" if first is None else whole_words(first, meta))


def whole_words(thing: ObjectShape, meta: SampleMeta) -> str:
    """`` (of person 3)`` for a part, ``""`` for an object of its own."""
    whole = next((o for o in meta.objects if o.index == thing.part_of), None)
    return "" if whole is None else f" (of {whole.label} {whole.index})"


def grounded_target(target: GroundedTarget) -> str:
    """The same for a target that is not published."""
    whole = target.whole
    return target.label + ("" if whole is None else f" (of {whole.label} {whole.index})")
