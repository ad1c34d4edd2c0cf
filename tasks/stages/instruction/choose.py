"""Seeded choice of an edit: a type by weight among those offered for the target, then its argument."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tasks.records.edit_types import EDIT_TYPES, NO_ARGUMENT, EditTypeSpec
from tasks.records.measuring import measure
from tasks.records.records import EditType, GroundedTarget, Measurement
from tasks.records.seeds import derive_seed, unit_interval
from tasks.roles.offers import Offered, Offers


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenEdit:
    """A chosen edit.

    Attributes:
        argument: what the target will become; ``""``: the instructor chooses; ``"none"``: the type needs none.
        choices: the available types, see `measure_choices`.
    """

    edit_type: EditType
    argument: str
    choices: tuple[Measurement, ...]


def choose_edit_type(
    target: GroundedTarget,
    offers: Offers,
    weights: Mapping[EditType, float],
    seed: int,
    key: str,
    taken: Collection[tuple[EditType, str]] = (),
) -> ChosenEdit | None:
    """Chooses a type by weight among those offered for the target, then one of its offered arguments uniformly.

    Types not used by another plan of this target come first; if there are none, a type with another argument.

    Args:
        target: what will be edited.
        offers: what the configured editor and inpainter accept.
        weights: relative; a type without a weight or with weight 0 is never chosen.
        seed: the build's seed.
        key: the plan's id; the choice depends only on (seed, key) and on what is allowed.
        taken: types and arguments chosen for other plans of this target.

    Returns:
        The chosen edit, or None if nothing is left; `allowed_types` says why.
    """
    offered = _offered(target, offers, weights)
    allowed = [row for row in EDIT_TYPES if not offered[row.edit_type].why_not]
    left = {row: _arguments_left(row, offered[row.edit_type], taken) for row in allowed}
    used = {edit_type for edit_type, _ in taken}
    free = [row for row in allowed if row.edit_type not in used] or [row for row in allowed if left[row]]
    if not free:
        return None
    point = unit_interval(seed, key, "edit_type") * sum(weights[row.edit_type] for row in free)
    chosen = free[-1]  # if rounding leaves a positive rest after the last row
    for row in free:
        point -= weights[row.edit_type]
        if point < 0:
            chosen = row
            break
    argument = left[chosen][derive_seed(seed, key, "edit_argument") % len(left[chosen])]
    choices = measure_choices({edit_type: each.why_not for edit_type, each in offered.items()})
    return ChosenEdit(edit_type=chosen.edit_type, argument=argument, choices=choices)


def drawn_weights(
    weights: Mapping[EditType, float],
    chances: Mapping[EditType, float],
    seed: int,
    key: str,
    barred: Collection[EditType] = (),
) -> dict[EditType, float]:
    """``weights`` for one plan: 0 for ``barred`` types, and for those that its own draw holds back.

    Weights alone cannot make a type rare that is often the only one offered for a target; ``chances`` (type ->
    probability that the plan with this ``key`` may be of it; 1 where there is none) can. Depends on nothing else, so
    neither workers nor the order of photographs change it.
    """
    return {
        edit_type: 0.0
        if edit_type in barred
        or unit_interval(seed, key, f"chance:{edit_type.value}") >= chances.get(edit_type, 1.0)
        else weight
        for edit_type, weight in weights.items()
    }


def allowed_types(
    target: GroundedTarget, offers: Offers, weights: Mapping[EditType, float]
) -> dict[EditType, str]:
    """Type -> why it may not be chosen, ``""`` if it may."""
    return {edit_type: each.why_not for edit_type, each in _offered(target, offers, weights).items()}


def measure_choices(choices: Mapping[EditType, str]) -> tuple[Measurement, ...]:
    """The number of allowed types, then for each type whether it was allowed (1) or not (0), and why not."""
    count = sum(1 for why in choices.values() if not why)
    return (
        measure("edit_types_allowed", count, low=1),
        *(
            measure(f"allows_{kind.value.lower()}", not why, decides=False, note=why)
            for kind, why in choices.items()
        ),
    )


def _offered(
    target: GroundedTarget, offers: Offers, weights: Mapping[EditType, float]
) -> dict[EditType, Offered]:
    types = [row.edit_type for row in EDIT_TYPES]
    excluded = Offered(why_not="weight is 0")
    return {t: offers.of(t).offer(t, target) if weights.get(t, 0.0) > 0 else excluded for t in types}


def _arguments_left(
    row: EditTypeSpec, offered: Offered, taken: Collection[tuple[EditType, str]]
) -> tuple[str, ...]:
    # A free argument counts as one, since nobody knows yet whether a second one would differ.
    every = (offered.arguments or ("",)) if row.argument else (NO_ARGUMENT,)
    return tuple(argument for argument in every if (row.edit_type, argument) not in taken)
