"""The table of the eight edit types: who does each, what it needs, which targets allow it; and the seeded draw."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from tasks.backends.embedded.nouns import noun
from tasks.backends.embedded.painting.materials import CAST
from tasks.imaging.geometry import containment, enlarge, intersection, iou
from tasks.records.measuring import measure
from tasks.records.records import EditType, GroundedTarget, Measurement
from tasks.records.seeds import derive_seed, unit_interval
from tasks.stages.instruction.arguments import color_arguments, effect_arguments, material_arguments

NO_ARGUMENT = "none"
"""The argument of a type that needs none."""

CARRIED_SHARE = 0.5
"""Another object with this share of its box inside the target's would hang in the air after a removal."""

CARRIED_AREA = 0.6
"""Only something smaller than the target by this factor is carried; a larger one merely stands around it."""

TANGLED_IOU = 0.3
"""Boxes that overlap this much belong to a rider and a ride: without one the other makes no sense."""

BESIDE = 1.4
"""Another of its kind within the box enlarged by this may lose a part to the filling, or hide a third one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditTypeRule:
    """What an edit type needs.

    Attributes:
        role: ``editor`` (allowed only when the editor offers it) or ``inpainter`` (always there).
        kinds: kinds of noun it makes sense for; empty means every kind.
        objection: why this very target doesn't allow it, or ``""``.
        arguments: what the target may be turned into; an empty result forbids the type. None: needs no argument.
    """

    edit_type: EditType
    role: str
    kinds: frozenset[str]
    objection: Callable[[GroundedTarget], str]
    arguments: Callable[[GroundedTarget], tuple[str, ...]] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnEdit:
    """The drawn type, its argument (a colour, an effect or ``"none"``), and what stood to choose from."""

    edit_type: EditType
    argument: str
    choices: tuple[Measurement, ...]


def draw_edit_type(
    target: GroundedTarget,
    offers: Sequence[EditType],
    weights: Mapping[EditType, float],
    seed: int,
    key: str,
    taken: Collection[tuple[EditType, str]] = (),
) -> DrawnEdit | None:
    """Draw a type by weight among those that editor and target allow, then its argument evenly.

    Types that no other plan of this target has come first; when there are none, one with another argument.

    Args:
        target: what is to be edited.
        offers: what the editor can do convincingly; types done by the inpainter need not be named.
        weights: relative; a type without a weight or with weight 0 is never drawn.
        seed: the build's seed.
        key: the plan's id; the draw depends on (seed, key) and on what is allowed, on nothing else.
        taken: types and arguments that other plans of this target have already.

    Returns:
        The draw, or None when nothing is left; `allowed_types` says why.
    """
    choices = allowed_types(target, offers, weights)
    left = {rule: _arguments_left(rule, target, taken) for rule in EDIT_TYPES if not choices[rule.edit_type]}
    used = {edit_type for edit_type, _ in taken}
    free = [rule for rule in left if rule.edit_type not in used] or [rule for rule in left if left[rule]]
    if not free:
        return None
    point = unit_interval(seed, key, "edit_type") * sum(weights[rule.edit_type] for rule in free)
    drawn = free[-1]
    for rule in free:
        point -= weights[rule.edit_type]
        if point < 0:
            drawn = rule
            break
    argument = left[drawn][derive_seed(seed, key, "edit_argument") % len(left[drawn])]
    return DrawnEdit(edit_type=drawn.edit_type, argument=argument, choices=measure_choices(choices))


def allowed_types(
    target: GroundedTarget, offers: Sequence[EditType], weights: Mapping[EditType, float]
) -> dict[EditType, str]:
    """For each of the eight types why it may not be drawn, ``""`` when it may."""
    return {rule.edit_type: _objection(rule, target, offers, weights) for rule in EDIT_TYPES}


def _arguments_left(
    rule: EditTypeRule, target: GroundedTarget, taken: Collection[tuple[EditType, str]]
) -> tuple[str, ...]:
    every = rule.arguments(target) if rule.arguments else (NO_ARGUMENT,)
    return tuple(argument for argument in every if (rule.edit_type, argument) not in taken)


def measure_choices(choices: Mapping[EditType, str]) -> tuple[Measurement, ...]:
    """How many types were allowed, then for each type whether it was (1) or not (0) and why not."""
    count = sum(1 for why in choices.values() if not why)
    return (
        measure("edit_types_allowed", count, low=1),
        *(
            measure(f"allows_{kind.value.lower()}", not why, decides=False, note=why)
            for kind, why in choices.items()
        ),
    )


def _objection(
    rule: EditTypeRule, target: GroundedTarget, offers: Sequence[EditType], weights: Mapping[EditType, float]
) -> str:
    kind = noun(target.label).kind
    if weights.get(rule.edit_type, 0.0) <= 0:
        return "weight is 0"
    if rule.role == "editor" and rule.edit_type not in offers:
        return "not offered by the editor"
    if rule.kinds and kind not in rule.kinds:
        return f"not for the kind {kind}"
    why = rule.objection(target)
    if not why and rule.arguments is not None and not rule.arguments(target):
        return "nothing fitting to turn it into"
    return why


def _anything(target: GroundedTarget) -> str:
    del target
    return ""


def _nothing_depends_on_it(target: GroundedTarget) -> str:
    """Removal leaves things in the air that stand on, ride on or are held by the target, and harms its own kind."""
    for held in target.scene.objects:
        if held.index in target.indices:
            continue
        for own in target.objects:
            inside = containment(held.box, own.box) >= CARRIED_SHARE
            if inside and held.box.area <= CARRIED_AREA * own.box.area:
                return f"carries {held.label}"
            if iou(held.box, own.box) >= TANGLED_IOU:
                return f"tangled with {held.label}"
            around = enlarge(own.box, BESIDE, 0, target.scene.source.width, target.scene.source.height)
            if held.label == own.label and intersection(held.box, around):
                return f"close to another {held.label}"
    return ""


_PAINTABLE = frozenset(
    {"vehicle", "furniture", "bag", "accessory", "toy", "tableware", "fruit", "device", "thing"}
)
"""Not people and animals (skin, fur), glass, screens, food, plants and signs: a new colour there looks wrong.
Nor laptops: hands, keys and ports make them patchy, and their thin lids are more rim than surface."""


EDIT_TYPES: tuple[EditTypeRule, ...] = (
    EditTypeRule(
        edit_type=EditType.COLOR,
        role="editor",
        kinds=_PAINTABLE,
        objection=_anything,
        arguments=color_arguments,
    ),
    EditTypeRule(
        edit_type=EditType.REMOVE,
        role="inpainter",
        kinds=frozenset(),
        objection=_nothing_depends_on_it,
        arguments=None,
    ),
    EditTypeRule(
        edit_type=EditType.REPLACE, role="editor", kinds=frozenset(), objection=_anything, arguments=None
    ),
    EditTypeRule(
        edit_type=EditType.ADD, role="editor", kinds=frozenset(), objection=_anything, arguments=None
    ),
    EditTypeRule(
        edit_type=EditType.MATERIAL,
        role="editor",
        kinds=CAST,
        objection=_anything,
        arguments=material_arguments,
    ),
    EditTypeRule(
        edit_type=EditType.ACTION,
        role="editor",
        kinds=frozenset({"person", "animal"}),
        objection=_anything,
        arguments=None,
    ),
    EditTypeRule(
        edit_type=EditType.APPEARANCE,
        role="editor",
        kinds=frozenset(),
        objection=_anything,
        arguments=effect_arguments,
    ),
    EditTypeRule(
        edit_type=EditType.TEXT,
        role="editor",
        kinds=frozenset({"sign", "thing", "vehicle", "fixture"}),
        objection=_anything,
        arguments=None,
    ),
)
"""One row a type, in the enum's order; types without an argument list leave the choice to the instructor."""
