"""Removes a target: hole, window, inpainter, compositing, detecting again; a few tries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import box_of, cropped
from tasks.imaging.masks import dilate
from tasks.records.errors import SampleError
from tasks.records.records import Box, EditPlan
from tasks.roles.asks import AskDetector, AskInpainter, AskSegmenter
from tasks.roles.offers import Offer
from tasks.roles.picture import Picture
from tasks.roles.questions import InpaintQuestion
from tasks.stages.editing import fill_gates, gates
from tasks.stages.editing.compositing import change_map, composite, correct_tint, effect_of
from tasks.stages.editing.edit_result import INPAINT, INPAINT_EFFECTS, EditResult
from tasks.stages.editing.gates import Gate
from tasks.stages.editing.redetection import Look, compare_looks, found_before, look, look_before
from tasks.stages.editing.removal import removal_alpha, removal_window
from tasks.stages.editing.removal_scene import RemovalScene, hole_of, open_scene
from tasks.stages.editing.removal_trace import trace_gate
from tasks.stages.editing.settings import EditingSettings, RemovalGate
from tasks.stages.sample_stage import Workbench

COMPARED: tuple[RemovalGate, ...] = ("gone", "new_object")
"""Gates for which the detector looks before and after, as `compare_looks` gives them."""

WHATEVER_IS_FILLED = "ragged_border_share"
"""Measurement that fails for what is around the object."""

WHATEVER_HOLE = "cut_structures_share"
"""Measurement for which no larger hole helps: it meets more structures."""


FAULTS = frozenset(
    {"seam_share", "cut_structures_share", "novel_fill_share", "busy_fill_share", "shadow_left_share"}
    | {"remains_share"}
    | {"found_after_score", "new_object_score", "trace_of_shape"}
)
"""Measurements of faults in a fill, by which two that pass are compared."""


class RemovalAsks(Protocol):
    """The roles that take part: one fills, two check the result."""

    @property
    def inpainter(self) -> AskInpainter:
        """Fills the hole."""
        ...

    @property
    def detector(self) -> AskDetector:
        """Searches for the object."""
        ...

    @property
    def segmenter(self) -> AskSegmenter:
        """Searches for its shape."""
        ...


async def remove_object(
    plan: EditPlan,
    source: Picture,
    bench: Workbench,
    *,
    ask: RemovalAsks,
    offer: Offer,
    settings: EditingSettings,
    seed: int,
) -> EditResult:
    """Fills the target's area from its environment: the first try that is clean by every gate, else the best one.

    The tries differ in the hole (`RemovalSettings.tries`), since a bad fill is mostly caused by a rim left outside it,
    and in how it is filled, where the inpainter has several ways.

    ``offer`` is the inpainter's, which says what goes with the target, and whether the inpainter takes shadow and
    reflection along.

    Raises:
        SampleError: its position rules out a clean removal (too large, entangled with others), which is known before
            the inpainter is asked; or nothing could tell that it is gone; or the inpainter failed on it.
    """
    scene = await bench.cpu(open_scene, plan, source, offer, settings.removal.sure_mask)
    best: EditResult | None = None
    before: Look | None = None
    seen: tuple[Gate, ...] = ()
    for number, hole_settings in enumerate(settings.removal.tries()):
        try:
            hole, early = await bench.cpu(hole_of, scene, hole_settings, settings)
        except SampleError:
            if best is None:
                raise
            break
        if before is None and _any_of(("found_before", *COMPARED), settings):
            before = await look_before(ask.detector, plan, scene.gone, source, settings.gates)
            if _any_of(("found_before",), settings):
                seen = (found_before(plan, before, settings.gates),)
                gates.require(seen[0])
        for attempt in range(offer.fillings):
            try:
                done = await _fill(scene, hole, before, bench, ask, offer, settings, seed + number, attempt)
            except SampleError:
                if best is None and attempt + 1 == offer.fillings:
                    raise
                continue
            done = replace(done, gates=(*early, *seen, *done.gates))
            if best is None or _rank(done) < _rank(best):
                best = done
            clean = not _failures(done) and _stain(done) <= settings.removal.clean
            if clean or _failed(done, WHATEVER_IS_FILLED):
                return best
        if best is not None and (not _failures(best) or _failed(best, WHATEVER_HOLE)):
            return best
    assert best is not None, "there is at least one try"
    return best


def _failed(done: EditResult, name: str) -> bool:
    return any(gate.measurement.name == name and not gate.passed for gate in done.gates)


def _any_of(names: Sequence[RemovalGate], settings: EditingSettings) -> bool:
    return any(name in settings.removal.gates for name in names)


async def _fill(
    scene: RemovalScene,
    hole: Mask,
    before: Look | None,
    bench: Workbench,
    ask: RemovalAsks,
    offer: Offer,
    settings: EditingSettings,
    seed: int,
    attempt: int,
) -> EditResult:
    """Fills and measures one hole, without the gates measured before."""
    plan = scene.plan
    height, width = scene.mask.shape
    crop = removal_window(box_of(hole), width, height, settings.removal)
    question = InpaintQuestion(
        subject=plan.plan_id,
        seed=seed,
        attempt=attempt,
        picture=scene.source.crop(crop),
        hole=cropped(hole, crop),
        avoid=cropped(scene.others | scene.whole, crop),
        label=plan.target.label,
    )
    patch = await ask.inpainter(question)
    done = await bench.cpu(_put_back, scene, hole, crop, patch, offer, settings)
    # Models look at it only if nothing that is measured has refused it, the most expensive one last.
    if before is not None and _any_of(COMPARED, settings) and not _failures(done):
        after = await look(ask.detector, plan, scene.gone, Picture.of_pixels(done.edited), slice(len(before)))
        compared = compare_looks(
            plan, scene.gone, before=before, after=after, hole=hole, settings=settings.gates
        )
        chosen = (g for name, g in zip(COMPARED, compared, strict=True) if name in settings.removal.gates)
        done = replace(done, gates=(*done.gates, *chosen))
    if _failures(done) or not _any_of(("trace",), settings):
        return done
    trace = await trace_gate(
        ask.segmenter,
        cropped(done.edited, crop),
        crop,
        plan.target.objects,
        cropped(scene.mask, crop),
        settings.gates.max_trace,
        plan.plan_id,
    )
    return replace(done, gates=(*done.gates, trace))


def _put_back(
    scene: RemovalScene, hole: Mask, crop: Box, patch: Image, offer: Offer, settings: EditingSettings
) -> EditResult:
    """Composites and measures the fill; the objects are searched for afterwards."""
    source, inside, target = scene.source.rgb, cropped(hole, crop), cropped(scene.mask, crop)
    here, region, effect, laid = cropped(source, crop), inside, None, patch
    radius = scene.margin_px(settings.removal)
    if offer.effects:
        changed = change_map(here, patch, settings.composite)
        others = cropped(scene.others, crop)
        effect = effect_of(inside, changed & ~others, settings.composite)
        # The fill fades in over half the margin, so the region must end that much beyond the effect.
        region = inside | (dilate(effect, radius // 2 + 1) & ~others)
        laid = correct_tint(here, patch, changed | region, settings.composite)
    edited, allowed = composite(source, laid, crop, removal_alpha(region, radius, cropped(scene.whole, crop)))
    after = cropped(edited, crop)
    spread = () if effect is None else (gates.effect_gate(effect, inside, settings.gates),)
    stays, whole = cropped(scene.others, crop), cropped(scene.whole, crop)
    measured = _fill_gates(here, after, patch, target, region, whole, stays, radius // 2, settings)
    return EditResult(
        plan=scene.plan,
        source=source,
        edited=edited,
        patch=patch,
        crop=crop,
        mask=scene.mask,
        allowed=allowed,
        method=INPAINT if effect is None else INPAINT_EFFECTS,
        gates=(*measured, *spread),
    )


def _failures(done: EditResult) -> int:
    return sum(not gate.passed for gate in done.gates)


def _rank(done: EditResult) -> tuple[int, float]:
    """Order of results, the best first: by the number of gates that failed, then by how clean they are."""
    return _failures(done), _stain(done)


def _stain(done: EditResult) -> float:
    """The largest value over its bound, 0..1, of the gates on faults of a fill that have an upper bound."""
    return max(
        (
            gate.measurement.value / gate.measurement.high
            for gate in done.gates
            if gate.measurement.name in FAULTS and gate.measurement.high
        ),
        default=0.0,
    )


def _fill_gates(
    before: Image,
    after: Image,
    patch: Image,
    target: Mask,
    region: Mask,
    whole: Mask,
    others: Mask,
    blend: int,
    settings: EditingSettings,
) -> tuple[Gate, ...]:
    """The chosen ones of the gates on the window: target, filled ``region``, ... are (H, W) of it."""
    bounds = settings.gates
    makers: dict[RemovalGate, Callable[[], Gate]] = {
        "change": lambda: gates.change_gate(before, after, target, bounds.min_change),
        "leak": lambda: gates.leak_gate(before, patch, region, bounds),
        "seam": lambda: gates.seam_gate(before, after, region, bounds),
        "ragged": lambda: fill_gates.ragged_gate(after, region, bounds),
        "cut": lambda: fill_gates.cut_gate(after, region, blend + 3, bounds),
        "strange": lambda: fill_gates.strange_border_gate(after, region, bounds),
        "novel": lambda: fill_gates.novel_gate(after, region, bounds),
        "busy": lambda: fill_gates.busy_gate(after, region, bounds),
        "flat": lambda: fill_gates.flat_gate(after, region, bounds),
        "shadow": lambda: fill_gates.shadow_gate(after, region, whole, others, bounds),
        "remains": lambda: fill_gates.remains_gate(before, after, region, others, bounds),
    }
    return tuple(make() for name, make in makers.items() if name in settings.removal.gates)
