"""The JSON has one shape for all edit types and for records with empty fields."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tasks.publishing.describe_sample import describe_sample
from tasks.records.errors import DataFault
from tasks.records.records import EditType, Measurement


def shape(value):
    """The value with every leaf replaced by its type; lists by the one shape of their items."""
    if isinstance(value, dict):
        # A bound may be missing; if present, it holds a number.
        bounds = {key: value[key] for key in ("low", "high") if key in value}
        assert all(len(bound) <= 1 and all(type(n) is float for n in bound) for bound in bounds.values())
        return {key: "bound" if key in bounds else shape(item) for key, item in value.items()}
    if isinstance(value, list):
        shapes = {json.dumps(shape(item), sort_keys=True) for item in value}
        assert len(shapes) == 1, f"a list of {len(shapes)} shapes: {value}"
        return [json.loads(shapes.pop())]
    assert value is not None
    assert value != ""
    return type(value).__name__


def described(drawn, kind, **changes):
    plan = drawn.edit_plan(drawn.target(drawn.source_image("shots/a.jpg")), kind)
    sample = replace(drawn.edited_sample(plan), **changes)
    return describe_sample(sample, "train", drawn.CONTEXT, drawn.LIBRARIES)


def test_the_shape_is_the_same_for_every_edit_type(drawn):
    shapes = [shape(json.loads(described(drawn, kind).to_json())) for kind in EditType]
    assert all(one == shapes[0] for one in shapes)


def test_a_sample_without_gates_or_models_has_the_same_shape(drawn):
    bare = described(drawn, EditType.REMOVE, gates=(), models=(), method="")
    full = described(drawn, EditType.COLOR)
    assert shape(json.loads(bare.to_json())) == shape(json.loads(full.to_json()))


def test_whole_numbers_stay_floats_where_floats_are_meant(drawn):
    gate = Measurement(name="changed", value=1, decides=False)
    tree = json.loads(described(drawn, EditType.COLOR, gates=(gate,), accuracy=5, seamlessness=4).to_json())
    assert isinstance(tree["gates"][-1]["value"], float)
    assert [type(score["value"]) for score in tree["scores"]] == [float, float]


def test_gates_say_their_stage_and_scores_their_bound(drawn):
    meta = described(drawn, EditType.COLOR)
    assert [(gate.stage, gate.name) for gate in meta.gates] == [
        ("grounding", "hard"),
        ("instruction", "unique"),
        ("editing", "changed"),
    ]
    assert [(s.value, s.low, s.high, s.passed, s.decides) for s in meta.scores] == [
        (4.5, (4.0,), (), True, True),
        (4.0, (3.5,), (), True, True),
    ]


def test_a_number_that_decides_nothing_passes_and_says_so(drawn):
    noted = Measurement(name="rank", value=9.0, high=1.0, decides=False)
    gate = described(drawn, EditType.COLOR, gates=(noted,)).gates[-1]
    assert (gate.passed, gate.decides, gate.high) == (True, False, (1.0,))


def test_every_bound_of_a_sample_has_numbers_beside_the_empty_ones(drawn):
    tree = json.loads(described(drawn, EditType.COLOR).to_json())
    assert any(gate["low"] for gate in tree["gates"])


def test_prompts_of_all_stages_and_the_libraries_given_are_named(drawn):
    plan = drawn.edit_plan(drawn.target(drawn.source_image("shots/a.jpg")), EditType.COLOR)
    target = replace(plan.target, prompts=(("target_judge", "ab" * 32),))
    sample = replace(drawn.edited_sample(replace(plan, target=target)), prompts=(("edit_judge", "ef" * 32),))
    provenance = describe_sample(sample, "train", drawn.CONTEXT, (("numpy", "1"), ("numpy", "2"))).provenance
    assert [prompt.name for prompt in provenance.prompts] == ["edit_judge", "instructor", "target_judge"]
    assert [(item.name, item.version) for item in provenance.libraries] == [("numpy", "1"), ("numpy", "2")]


def test_every_role_that_answered_is_named_once(drawn):
    roles = [model.role for model in described(drawn, EditType.COLOR).provenance.models]
    assert roles == ["detector", "target_judge", "instructor", "rewriter", "editor", "edit_judge"]


def test_the_whole_scene_is_kept_and_the_target_marked(drawn):
    meta = described(drawn, EditType.COLOR)
    assert [item.is_target for item in meta.objects] == [False, True, False, False]
    assert meta.objects[0].not_a_target == "touches another"
    assert meta.target.boxes == (meta.objects[1].box,) == ((94, 94, 147, 147),)
    assert meta.target.mask.size == (240, 320)


def test_a_gate_that_is_not_a_number_is_named(drawn):
    gate = Measurement(name="odd", value=float("nan"), low=0)
    with pytest.raises(DataFault, match=r"t0-p0: not publishable.*value"):
        described(drawn, EditType.COLOR, gates=(gate,))
