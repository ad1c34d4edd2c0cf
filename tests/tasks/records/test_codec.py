"""Records become canonical JSON and are read back unchanged."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tasks.records.codec import decode_record, edit_type_of, encode_record
from tasks.records.errors import DataFault
from tasks.records.outcomes import SourceEntry
from tasks.records.records import (
    Box,
    Distractor,
    EditedSample,
    EditPlan,
    EditType,
    GroundedTarget,
    MaskHint,
    Measurement,
    ModelIdentity,
    Reasoning,
    Rle,
    Scene,
    SceneObject,
    SourceImage,
    Tag,
)

RLE = Rle(height=2, width=3, counts="0a\\`ß")
GATE = Measurement(name="fill", value=0.1 + 0.2, low=0.2)
MODEL = ModelIdentity(role="detector", backend="ssd", model="m", revision="1", digest="none")
BOX = Box(x0=1, y0=2, x1=3, y1=4)


def sample(value: float = 0.5) -> EditedSample:
    source = SourceImage(
        sid="a" * 26, location="photos/ß \U0001f4f7.jpg", sha256="0", working_sha256="1", width=3, height=2,
        original_format="JPEG", actions=("turned",), license="CC0", fingerprint="f" * 16,
        hints=(MaskHint(box=BOX, mask=RLE, predicted_iou=0.9, stability=1.0),),
    )  # fmt: skip
    thing = SceneObject(
        index=0, label="cup", box=BOX, mask=RLE, score=value, mask_score=1.0, mask_method="grabcut", area=3,
        color="red", color_share=0.7, lab=(50.0, 1.5, -2.0), checks=(GATE,), not_a_target="",
    )  # fmt: skip
    scene = Scene(
        source=source, tags=(Tag(name="cup", score=1e-7),), objects=(thing,), models=(MODEL,),
        distractors=(Distractor(label="bowl", box=BOX, score=0.3),),
    )  # fmt: skip
    target = GroundedTarget(
        target_id="t", scene=scene, indices=(0,), mask=RLE, judgement=(GATE,), models=(MODEL,)
    )
    words = Reasoning(
        scene_description='"quoted"',
        target_localization="b",
        editing_description="c",
        post_edit_description="d",
    )
    plan = EditPlan(
        plan_id="p", target=target, edit_type=EditType.COLOR, argument="blue", instruction="Paint\nit",
        instruction_before_rewriting="x", reasoning=words, seed=7, gates=(), models=(), prompts=(("a", "b"),),
    )  # fmt: skip
    return EditedSample(
        plan=plan,
        crop=BOX,
        allowed=RLE,
        method="blend",
        gates=(GATE,),
        accuracy=4.5,
        seamlessness=5.0,
        models=(),
    )


def every_record() -> list[object]:
    whole = sample()
    plan, target = whole.plan, whole.plan.target
    entry = SourceEntry(
        location="a/b", source="a", path="b", member="", offset=0, length=-1, version="", problem=""
    )
    return [entry, target.scene.source, target, plan, whole]


@pytest.mark.parametrize("number", range(5))
def test_a_record_survives_the_round_trip_and_has_one_spelling(number: int):
    record = every_record()[number]
    text = encode_record(record)
    assert decode_record(text) == record
    assert encode_record(decode_record(text)) == text
    assert json.loads(text)["record_type"] == type(record).__name__


def test_numpy_scalars_are_written_as_the_numbers_they_are():
    assert encode_record(sample(np.float32(0.5))) == encode_record(sample(0.5))
    assert encode_record(sample(np.float64(0.5))) == encode_record(sample(0.5))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "much"])
def test_a_value_that_is_not_a_number_is_refused(value: float):
    with pytest.raises(ValueError):
        encode_record(sample(value))


def test_a_text_that_is_not_a_record_is_a_data_fault():
    good = encode_record(sample())
    for text in ("", "{}", '{"record_type":"Nothing"}', good.replace('"crop"', '"crap"'), good[:-3]):
        with pytest.raises(DataFault):
            decode_record(text)


def test_only_plans_and_samples_know_an_edit_type():
    assert [edit_type_of(r) for r in every_record()] == ["", "", "", "Color", "Color"]
    assert edit_type_of(None) == ""
