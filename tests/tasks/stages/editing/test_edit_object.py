"""An edit of a target: the editor's question, the composite, and the gates that decide."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

from tasks.backends.embedded.painting.offer import EmbeddedEditorOffer
from tasks.backends.generative_offer import GenerativeEditorOffer
from tasks.records.errors import Reason, SampleError
from tasks.records.records import EditType, ModelIdentity
from tasks.records.settings_base import RoleSettings, Settings
from tasks.roles.picture import Picture
from tasks.stages.editing.edit_object import edit_object
from tasks.stages.editing.settings import CropSettings, EditingSettings
from tests.tasks.stages.editing.drawn_scene import (
    PAINTS,
    BlobDetector,
    OutlineSegmenter,
    disc,
    draw_ground,
    make_plan,
    shaded,
)

BALL = disc(110, 125, 34)
TWIN, SMALL = disc(190, 125, 30), disc(110, 60, 8)
ROLE = RoleSettings(backend="given")
WHOLE = EmbeddedEditorOffer(Settings())
PART = GenerativeEditorOffer(Settings())
SETTINGS = EditingSettings(
    editor=ROLE, inpainter=ROLE, judge=ROLE, detector=ROLE, segmenter=ROLE, crop=CropSettings(min_side_px=64)
)


class Painter:
    """Paints ``share`` of the mask, from its top; records its questions."""

    identity = ModelIdentity(role="editor", backend="painter", model="m", revision="1", digest="none")
    prompts = ()

    def __init__(self, color: str, share: float = 1.0) -> None:
        self.color, self.share = color, share
        self.questions = []

    async def __call__(self, question):
        self.questions.append(question)
        image = question.picture.rgb.copy()
        rows = np.flatnonzero(question.mask.any(axis=1))
        part = question.mask.copy()
        part[rows[0] + round(self.share * len(rows)) :] = False
        shaded(image, part, PAINTS[self.color])
        return image


class PlainBench:
    """Computes in the calling thread."""

    async def cpu(self, work, *args):
        return work(*args)


def _edit(editor, edit_type, argument, *, offer=WHOLE, mask=BALL, settings=SETTINGS, others=()):
    image = draw_ground()
    for other in others:
        shaded(image, other, PAINTS["red"])
    shaded(image, mask, PAINTS["red"])
    plan = make_plan(mask, edit_type, argument, others=[("red ball", other) for other in others])
    return asyncio.run(
        edit_object(
            plan,
            Picture.of_pixels(image),
            PlainBench(),
            ask=SimpleNamespace(editor=editor, detector=BlobDetector(), segmenter=OutlineSegmenter()),
            offer=offer,
            settings=settings,
            seed=3,
            attempt=0,
        )
    )


def _gates(done):
    return {gate.measurement.name: gate for gate in done.gates}


def test_a_recolored_ball_passes_the_gates_of_its_type_in_their_order():
    done = _edit(Painter("blue"), EditType.COLOR, "blue")
    assert [gate.measurement.name for gate in done.gates] == [
        "region_share",
        "raw_leak_delta_e",
        "change_inside_delta_e",
        "seam_share",
        "asked_color_share",
    ]
    assert all(gate.passed for gate in done.gates)
    assert np.array_equal(done.edited[~done.allowed], done.source[~done.allowed])


def test_the_editor_sees_the_crop_with_its_recipe_and_the_words_of_the_plan():
    painter = Painter("blue")
    done = _edit(painter, EditType.COLOR, "blue")
    (question,) = painter.questions
    assert question.picture.rgb.shape[:2] == question.mask.shape == (done.crop.height, done.crop.width)
    assert question.picture.recipe["crop"] == [done.crop.x0, done.crop.y0, done.crop.x1, done.crop.y1]
    assert (question.label, question.argument, question.seed) == ("red ball", "blue", 3)
    assert question.subject == done.plan.plan_id


def test_another_color_than_the_asked_one_is_refused_for_that():
    done = _edit(Painter("blue"), EditType.COLOR, "green")
    assert [gate.reason for gate in done.gates if not gate.passed] == [Reason.WRONG_COLOR]


def test_a_color_that_has_no_range_is_not_measured():
    assert "asked_color_share" not in _gates(_edit(Painter("blue"), EditType.COLOR, "periwinkle"))


@pytest.mark.parametrize("offer", [WHOLE, PART])
def test_a_third_in_another_color_is_an_edit_only_where_a_part_may_be_meant(offer):
    done = _edit(Painter("blue", share=0.35), EditType.COLOR, "blue", offer=offer)
    assert ("asked_color_share" in _gates(done)) is offer.covers_target
    failed = [name for name, gate in _gates(done).items() if not gate.passed and name != "seam_share"]
    assert failed == (["asked_color_share"] if offer.covers_target else [])


def test_an_unchanged_part_edit_is_refused():
    done = _edit(Painter("red"), EditType.REPLACE, "", offer=PART)
    assert not _gates(done)["change_inside_delta_e"].passed


def test_the_bounds_are_those_of_the_type():
    color, text = (_gates(_edit(Painter("blue"), t, "blue")) for t in (EditType.COLOR, EditType.TEXT))
    bounds = SETTINGS.gates
    assert color["seam_share"].measurement.high == bounds.max_color_seam_share
    assert text["seam_share"].measurement.high == bounds.max_seam_share
    effect = _gates(_edit(Painter("blue"), EditType.APPEARANCE, "sepia"))
    assert effect["change_inside_delta_e"].measurement.low == bounds.min_effect


def test_a_target_that_fills_the_picture_is_refused_before_the_editor_is_asked():
    painter = Painter("blue")
    with pytest.raises(SampleError) as caught:
        _edit(painter, EditType.COLOR, "blue", mask=disc(160, 120, 110))
    assert caught.value.reason is Reason.REGION_TOO_LARGE
    assert painter.questions == []


def _tinted(shadow):
    """Paints the target and darkens ``shadow`` as well, in a crop that an editor has drawn anew a little warmer."""

    class Editor(Painter):
        async def __call__(self, question):
            image = await super().__call__(question)
            x0, y0, x1, y1 = question.picture.recipe["crop"]
            image[shadow[y0:y1, x0:x1]] //= 2
            return np.clip(image * np.array([1.02, 1.0, 0.99]) + 0.5, 0, 255).astype(np.uint8)

    return Editor("blue")


class EffectOffer(EmbeddedEditorOffer):
    """One whose edits take shadows along."""

    def __init__(self) -> None:
        super().__init__(Settings())
        self.effects = True


def test_where_effects_are_declared_what_changed_around_the_target_is_allowed_and_nothing_else():
    shadow = disc(148, 150, 12) & ~BALL
    far = disc(60, 80, 8)
    crop = SETTINGS.model_copy(update={"crop": CropSettings(min_side_px=160)})
    plain, effects = (
        _edit(_tinted(shadow | far), EditType.COLOR, "blue", offer=offer, settings=crop)
        for offer in (WHOLE, EffectOffer())
    )
    assert (plain.method, effects.method) == ("blend", "blend_effects")
    middle = disc(148, 150, 8) & ~disc(110, 125, 44)
    assert not plain.allowed[middle].any()
    assert effects.allowed[middle].all()
    assert not effects.allowed[far].any(), "a change that is not connected with the target is undone"
    assert np.array_equal(effects.edited[~effects.allowed], effects.source[~effects.allowed])
    assert 0 < _gates(effects)["effect_share"].measurement.value < 0.3
    assert "effect_share" not in _gates(plain)


def test_an_effect_larger_than_its_bound_is_a_leak():
    bounds = SETTINGS.gates.model_copy(update={"max_effect_area": 0.01})
    settings = SETTINGS.model_copy(update={"gates": bounds, "crop": CropSettings(min_side_px=160)})
    done = _edit(
        _tinted(disc(148, 150, 12) & ~BALL), EditType.COLOR, "blue", offer=EffectOffer(), settings=settings
    )
    gate = _gates(done)["effect_share"]
    assert (gate.passed, gate.reason) == (False, Reason.LEAKED)


def _settings(**crop):
    return SETTINGS.model_copy(update={"crop": CropSettings(min_side_px=220, **crop)})


def test_the_editor_is_told_how_many_similar_things_its_crop_shows():
    painter = Painter("blue")
    _edit(painter, EditType.COLOR, "blue", settings=_settings(), others=(TWIN, SMALL))
    _edit(painter, EditType.COLOR, "blue", settings=SETTINGS, others=(TWIN, SMALL))
    whole = CropSettings(min_side_px=220, whole_share=0.5)
    _edit(
        painter, EditType.COLOR, "blue", settings=SETTINGS.model_copy(update={"crop": whole}), others=(TWIN,)
    )
    wide, tight, everything = painter.questions
    assert wide.similar == 1, "the small one is not similar"
    assert tight.similar == 0, "the twin lies outside the crop"
    assert everything.mask.shape == (240, 320)
    assert everything.similar == 0, "the instruction was written for the whole picture"


def test_a_crop_with_too_many_similar_things_is_refused_before_the_editor_is_asked():
    painter = Painter("blue")
    assert _edit(painter, EditType.COLOR, "blue", settings=_settings(max_similar=1), others=(TWIN,))
    with pytest.raises(SampleError) as caught:
        _edit(painter, EditType.COLOR, "blue", settings=_settings(max_similar=0), others=(TWIN,))
    assert caught.value.reason is Reason.AMBIGUOUS_REFERENCE
    (measured,) = caught.value.measured
    assert (measured.name, measured.value, measured.high) == ("similar_in_crop", 1, 0)
    assert len(painter.questions) == 1
