"""Descriptions of gates: what each number measures, its bound, and which gates failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tasks.records.measuring import bound_words

GATES: Mapping[str, str] = {
    # the checks of a scene's objects
    "area_share": "mask's share of the picture",
    "short_side_px": "shorter side of the box, pixels",
    "borders_touched": "picture borders it touches",
    "fill": "mask's share of its box",
    "largest_component": "share of the mask in one piece",
    "mask_quality": "segmenter's own rating of the mask",
    "mask_stability": "how little the mask moves with its threshold",
    "mask_box_agreement": "overlap of the mask's extent and the box",
    "mask_repeat_agreement": "overlap of the mask with a second one",
    "mask_in_one_piece": "share of the mask in one piece",
    "mask_edge_ratio": "how well the mask follows edges in the picture",
    "mask_color_distance": "color difference between inside and outside",
    "mask_contested_share": "share of the mask that others claim too",
    "mask_own_kind_share": "share of the mask that touches another of its kind",
    "mask_solidity": "mask's area over that of its convex hull",
    "cup_slenderness": "height of the cup over the width of its body",
    "surface_share": "share of the mask that is one surface, in light and shade",
    "surface_unclear_share": "share of the mask that may be of that surface or not",
    "person_head_score": "how surely a head is seen",
    # grounding
    "entities": "objects found in the scene",
    "label_confidence": "label confidence, detector and classifier together",
    "label_objection": "probability of another class, by the classifier",
    "edge_contrast": "color step across the mask's outline",
    "same_class_others": "other objects of its class",
    "size_rank": "rank by size in the scene",
    "center_offset": "distance from the picture's center",
    "salient_share": "target's share of the picture",
    "hard_to_locate": "hard to find at a glance (1 yes, 0 no)",
    "keep_probability": "probability of a precise mask and a target hard to find, by the target judge",
    "precise_probability": "probability of a precise mask, by the target judge",
    "hard_probability": "probability of a target hard to find, by the target judge",
    # instruction
    "edit_types_allowed": "edit types that suit the target",
    "argument_accepted": "the edit can be made into what was chosen (1 yes, 0 no)",
    "text_agreement": "probability that words and picture agree, by the text judge",
    "words_refusal": "the writer declined",
    "words_schema": "reply of the wrong form",
    "words_degenerate": "endless or repeated text",
    "words_marking": "words about the red mark",
    "words_one_edit": "more than one edit asked for",
    "words_edit_type": "another type of edit asked for",
    "words_rewriting": "rewriting that says something else",
    "words_noun": "a wrong noun for the target",
    "words_result": "a wrong result of the edit",
    "words_side": "a wrong side",
    "words_ordinal": "a wrong order",
    "words_size": "a wrong size",
    "words_color": "a wrong color",
    "words_count": "a wrong number of things",
    "words_round_trip": "words that lead to another object",
    "words_closed_parts": "facts missing from the reasoning",
    "words_closed_rewriting": "facts changed by rewriting",
    # instruction, version 1
    "reply_fits_schema": "reply has the right form",
    "edit_type_faults": "faults of the edit type in the words",
    "parts_disagreements": "facts missing from the reasoning",
    "marking_mentions": "words about the red mark",
    "rewriting_fact_changes": "facts changed by rewriting",
    "reference_mismatches": "objects the words single out wrongly",
    # editing
    "region_share": "edited region's share of the picture",
    "hole_other_objects_share": "share of its box taken by other objects",
    "hole_unnamed_things_share": "share of its close environment that is another thing",
    "change_inside_delta_e": "mean color change of the target (Lab)",
    "raw_leak_delta_e": "mean color change around it (Lab), before putting back",
    "effect_share": "shadow and reflection that changed with it, in areas of the target",
    "similar_in_crop": "similar things that the editor saw beside it",
    "tries": "edits made until one was kept",
    "asked_color_share": "share of the target in the asked color",
    "seam_share": "share of the border with a new edge",
    "ragged_border_share": "share of the border where structures run into it",
    "cut_structures_share": "share of the border where a structure ends instead of going on",
    "strange_border_share": "share of the border in colors rare around it",
    "fill_contrast_ratio": "texture of the fill relative to its environment",
    "novel_fill_share": "share of the fill unlike anything around it",
    "busy_fill_share": "share of the fill with more contrast than anywhere around it",
    "shadow_left_share": "shadow left in and at the fill, in areas of the target",
    "even_ground_share": "share of the ground around it that is seen and even",
    "remains_share": "what departs from the ground in and around the fill, in areas of the fill",
    "found_before_score": "detector's score for the target before",
    "found_after_score": "detector's score for the target afterwards",
    "new_object_score": "detector's score for something new",
    "trace_of_shape": "how much of the target's shape is still seen",
    "place_alike_share": "share of the copy's place in the color of the ground",
    "place_ground_delta_e": "color difference of the two grounds (Lab)",
    "place_edge_share": "share of the copy's place with edges that the ground has not",
    "way_alike_share": "share of the way from the target to the copy in the color of the ground",
    "ground_even_share": "share of the ground around the thing that is even",
    "copy_found_score": "detector's score for the new thing in its place",
    "copy_over_things_share": "share of what changed that was another thing",
    "copy_frame_px": "distance of the new thing from the picture's border, in pixels",
    "copy_shape_iou": "overlap of its shape with one of its class in the photograph",
    "copy_scale_ratio": "its size over the size that the perspective asks for",
    "copy_foot_step": "step between its foot line and the target's, in its height",
    "copy_contact_loss": "share that it lacks of the darkening of the ground at its model's foot",
    "copy_gap_share": "gap between it and the target, in its width",
    "copy_stray_share": "area that changed far from it, in its areas",
    "copy_halo_share": "share of the ring around it that changed otherwise than by shadow",
    "old_shadow_left_share": "what is left of the replaced thing's shadow, in areas of the thing",
    "old_thing_left_share": "share of the replaced thing that is still there",
    "accuracy": "edit judge's score for accuracy, 1 to 5",
    "seamlessness": "edit judge's score for seamlessness, 1 to 5",
    "second_accuracy": "second judge's score for accuracy, 1 to 5",
    "second_seamlessness": "second judge's score for seamlessness, 1 to 5",
}
"""Description by recorded name of a gate; gates missing here are shown by name."""

FAULTS: Mapping[str, str] = {
    "excluded_label": "class excluded by the settings",
    "low_score": "detector not sure enough",
    "group_box": "box around several things",
    "contested_label": "two labels compete for it",
    "contested_part": "not sure whose it is",
    "lacks_a_part": "mask without a part of it",
    "low_mask_score": "segmenter not sure enough",
    "area_share": "too small or too large",
    "short_side_px": "too few pixels across",
    "borders_touched": "cut off by the picture's border",
    "fill": "mask a fragment, or the box itself",
    "largest_component": "mask in pieces",
    "mask_quality": "mask rated poor by the segmenter",
    "mask_stability": "mask moves with its threshold",
    "mask_box_agreement": "mask and box don't agree",
    "mask_repeat_agreement": "a second mask differs",
    "mask_in_one_piece": "mask in pieces",
    "mask_edge_ratio": "mask not on edges of the picture",
    "mask_color_distance": "same color inside and outside",
    "mask_contested_share": "others claim part of it",
    "mask_own_kind_share": "it touches another of its kind",
    "mask_solidity": "something sticks out of it",
    "cup_slenderness": "too slender for a cup",
    "person_head_score": "no head seen",
    "garment_head_share": "head or hair in the garment",
    "garment_skin_share": "skin in the garment",
    "garment_neck_share": "neck in the garment",
    "garment_in_wearer": "it goes beyond its wearer",
    "garment_of_wearer": "too small or too large for its wearer",
    "garment_one_cloth": "more than one cloth",
    "garment_two_tone_edge": "two cloths of one hue",
    "garment_faint_outline": "the cloth may go on beyond the mask",
    "garment_covered": "half a garment",
    "garment_arms_covered": "a sleeve may be missing",
    "garment_other_name": "it may have another name",
    "garment_length": "too long for its name",
    "garment_above_waist": "too high for its name",
    "garment_between_legs": "trousers or a skirt",
    "garment_on_shanks": "shorts or trousers",
    "garment_bare_shanks": "shorts or trousers",
}
"""Why an object does not qualify as a target, by the name of the failed check."""

JUDGE = {
    "accuracy_": "edit judge's points for accuracy by the",
    "seamless_": "edit judge's points for blending in by the",
}
"""Prefixes of the edit judge's partial scores; each is based on one gate's number."""

CONDITIONS = {
    "hard_to_locate": (
        "it fills little of the picture, and there is another of its class or, among several objects, a larger one"
    ),
}
"""What a yes-or-no gate requires, by name."""

SCORES = {
    "region_edit_accuracy": "edit judge's score for accuracy, 1 to 5",
    "seamless_quality": "edit judge's score for blending in, 1 to 5",
}
"""The two scores that a released sample carries beside its gates."""

BEST_SCORE = 5.0

UP_TO_BEST = frozenset({*SCORES, "accuracy", "seamlessness", "second_accuracy", "second_seamlessness"})
"""Numbers whose scale ends at `BEST_SCORE`."""


class Measured(Protocol):
    """A `tasks.records.records.Measurement`, or its released form."""

    @property
    def name(self) -> str:
        """What was measured."""
        ...

    @property
    def value(self) -> float:
        """The number."""
        ...

    @property
    def passed(self) -> bool:
        """Whether it is within its bounds, or decides nothing."""
        ...

    @property
    def decides(self) -> bool:
        """Whether anything depends on it."""
        ...

    @property
    def note(self) -> str:
        """What the number alone does not say."""
        ...

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """Low and high."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedGate:
    """A failed gate: its recorded name, description, value, and the bound in words."""

    name: str
    words: str
    value: float
    bound: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakestGate:
    """The number closest to its bound; ``spare`` as computed by `spare_share`."""

    words: str
    value: float
    bound: str
    spare: float


def gate_words(name: str) -> str:
    """What a gate measures, or its name without underscores."""
    if name in GATES or name in SCORES:
        return GATES.get(name) or SCORES[name]
    for prefix, words in JUDGE.items():
        if name.startswith(prefix):
            return f"{words} {gate_words(name.removeprefix(prefix))}"
    if name.startswith("allows_"):
        return f"edit type {name.removeprefix('allows_')} would do (1 yes, 0 no)"
    return name.replace("_", " ")


def fault_words(name: str) -> str:
    """Why an object does not qualify as a target."""
    return FAULTS.get(name) or gate_words(name)


def gate_bound(gate: Measured) -> str:
    """The bound in words; for a number that decides nothing its note, or ``none``."""
    if not gate.decides:
        return gate.note or "none"
    condition = CONDITIONS.get(gate.name)
    return bound_words(*gate.bounds) + (f" (yes): {condition}" if condition else "")


def weakest_gate(measured: Iterable[Measured]) -> WeakestGate | None:
    """The number with the least spare share, the first of equals; None if no number has any."""
    found: WeakestGate | None = None
    for gate in measured:
        spare = spare_share(gate)
        if spare is not None and (found is None or spare < found.spare):
            found = WeakestGate(
                words=gate_words(gate.name), value=gate.value, bound=gate_bound(gate), spare=spare
            )
    return found


def spare_share(gate: Measured) -> float | None:
    """How far inside its bound a value lies: 0 at the bound, 1 at the best value; None if closeness has no meaning.

    The best value is 0 for "at most", the middle of a range, and for "at least" the scale's end, or 1 for shares. A
    number without an end, such as a color change, reaches 1 at twice its bound. Yes-or-no gates and counts: None.
    """
    low, high = gate.bounds
    if not gate.decides or low == high:
        return None
    if low is not None and high is not None:
        return min(gate.value - low, high - gate.value) / ((high - low) / 2)
    limit = high if low is None else low
    if limit is None or limit <= 0 or (limit == 1 and float(gate.value).is_integer()):
        return None
    if low is None:
        return (limit - gate.value) / limit
    best = BEST_SCORE if gate.name in UP_TO_BEST else 1.0 if limit < 1 else 2 * limit
    return (gate.value - limit) / (best - limit) if best > limit else None


def failed_gates(measured: Iterable[Measured]) -> tuple[FailedGate, ...]:
    """Each failed gate, once."""
    found: dict[str, FailedGate] = {}
    for gate in measured:
        if not gate.passed:
            failed = FailedGate(
                name=gate.name, words=gate_words(gate.name), value=gate.value, bound=gate_bound(gate)
            )
            found.setdefault(gate.name, failed)
    return tuple(found.values())


def object_counts(measured: Iterable[Measured]) -> tuple[tuple[str, int], ...]:
    """(description, count) of why the objects of a scene do not qualify as targets."""
    return tuple((fault_words(m.name), int(m.value)) for m in measured)
