"""Each field of question, backend, model and server is changed once: the key moves with what changes answers only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from tasks.records.records import (
    Box,
    EditType,
    GroundedTarget,
    MaskHint,
    Measurement,
    ModelIdentity,
    Reasoning,
    Rle,
    Scene,
    SourceImage,
)
from tasks.records.settings_base import RoleSettings, Settings
from tasks.roles import questions as q
from tasks.roles.answer_keys import answer_key
from tasks.roles.backend import Backend
from tasks.roles.backends import BACKENDS, BackendChoice, check_declared, choose
from tasks.roles.picture import Picture
from tasks.roles.placement import ServedModel


class Options(Settings):
    checkpoint: str = "m"
    temperature: float = 0.5
    min_agreement: float = 0.2


class Served(Backend[Any, Any]):
    """Asks with a temperature; a threshold is applied to what came back."""

    Options = Options
    answering = frozenset({"temperature"})
    reproducible = False
    wire = 1
    identity = ModelIdentity(role="r", backend="served", model="m", revision="r1", digest="none")

    @classmethod
    def identity_of(cls, options):
        del options
        return cls.identity


def choice(role="tagger", backend=Served, **options) -> BackendChoice:
    return BackendChoice(
        role=role, name="served", backend=backend, options=Options(**options), prompts=(("p.md", "0" * 64),)
    )


def picture(name: str) -> Picture:
    def unopened():
        raise AssertionError("a key looks at no pixel")

    return Picture.of_blob(name, unopened)


def mask(n: int) -> np.ndarray:
    pixels = np.zeros((4, 4), bool)
    pixels.flat[n] = True
    return pixels


def scene(location: str) -> Scene:
    source = SourceImage(
        sid="a" * 26, location=location, sha256="0", working_sha256="1", width=4, height=4, original_format="PNG",
        actions=(), license="", hints=(), fingerprint="0" * 16,
    )  # fmt: skip
    return Scene(source=source, tags=(), objects=(), distractors=(), models=())


def target(location: str) -> GroundedTarget:
    rle = Rle(height=1, width=1, counts="1")
    return GroundedTarget(
        target_id="a-t0", scene=scene(location), indices=(0,), mask=rle, judgement=(), models=()
    )


def detection(label: str, x0: int = 0, score: float = 0.5) -> q.Detection:
    return q.Detection(label=label, box=Box(x0=x0, y0=0, x1=4, y1=4), score=score)


def hint(counts: str) -> MaskHint:
    rle = Rle(height=4, width=4, counts=counts)
    return MaskHint(box=Box(x0=0, y0=0, x1=2, y1=2), mask=rle, predicted_iou=1.0, stability=1.0)


def reasoning(word: str) -> Reasoning:
    return Reasoning(
        scene_description="a", target_localization=word, editing_description="c", post_edit_description="d"
    )


def measured(value: float) -> tuple[Measurement, ...]:
    drawn = {"str": "n", "float": value, "bool": True, "float | None": value}
    return (Measurement(**{f.name: drawn[str(f.type)] for f in fields(Measurement)}),)


MOVES, STAYS = True, False
ALWAYS = {"subject": ("a-t0", "b-t0", STAYS), "seed": (1, 2, MOVES), "attempt": (0, 1, MOVES)}
WORDS = {
    "instruction": ("paint it", "Paint it", MOVES),
    "edit_type": (EditType.COLOR, EditType.MATERIAL, MOVES),
    "argument": ("red", "", MOVES),
}
CASES: dict[str, tuple[type[q.Question], dict[str, tuple[Any, Any, bool]]]] = {
    "tagger": (q.TagQuestion, {"picture": (picture("1"), picture("2"), MOVES)}),
    "detector": (
        q.DetectQuestion,
        {"picture": (picture("1"), picture("2"), MOVES), "names": (("cup", "cat"), ("cat", "cup"), MOVES)},
    ),
    "segmenter": (
        q.SegmentQuestion,
        {
            "picture": (picture("1"), picture("2"), MOVES),
            "detections": ((detection("cup"),), (detection("cup", 1),), MOVES),
            "hints": ((hint("1"),), (hint("2"),), MOVES),
            "candidates": ((), (0,), MOVES),
        },
    ),
    "target_judge": (
        q.TargetQuestion,
        {
            "picture": (picture("1"), picture("2"), STAYS),
            "marked": (picture("1"), picture("1").marked({"color": "red"}, lambda rgb: rgb), MOVES),
            "mask": (mask(1), mask(2), STAYS),
            "target": (target("a.jpg"), target("b.jpg"), STAYS),
        },
    ),
    "instructor": (
        q.InstructQuestion,
        {
            "picture": (picture("1"), picture("2"), STAYS),
            "boxed": (picture("1"), picture("2"), MOVES),
            "target": (target("a.jpg"), target("b.jpg"), STAYS),
            "edit_type": WORDS["edit_type"],
            "argument": WORDS["argument"],
            "refusals": ((), ("The reply names the box.",), MOVES),
            "along": ((), (1,), STAYS),
        },
    ),
    "rewriter": (
        q.RewriteQuestion,
        {
            "instruction": WORDS["instruction"],
            "edit_type": WORDS["edit_type"],
            "refusals": ((), ("It lost the color.",), MOVES),
        },
    ),
    "referrer": (
        q.ReferQuestion,
        {
            "picture": (picture("1"), picture("2"), STAYS),
            "numbered": (picture("1"), picture("2"), MOVES),
            "instruction": WORDS["instruction"],
            "scene": (scene("a.jpg"), scene("b.jpg"), STAYS),
        },
    ),
    "text_judge": (
        q.TextQuestion,
        {
            "marked": (picture("1"), picture("2"), MOVES),
            "reasoning": (reasoning("left"), reasoning("right"), MOVES),
            **WORDS,
        },
    ),
    "editor": (
        q.EditQuestion,
        {
            "picture": (picture("1"), picture("1").crop(Box(x0=0, y0=0, x1=2, y1=2)), MOVES),
            "mask": (mask(1), mask(2), MOVES),
            "label": ("cup", "cat", MOVES),
            **WORDS,
            "source": (picture("1"), picture("2"), STAYS),
            "crop": (Box(x0=0, y0=0, x1=4, y1=4), Box(x0=0, y0=0, x1=2, y1=2), STAYS),
            "target": (target("a.jpg"), target("b.jpg"), STAYS),
            "similar": (0, 2, MOVES),
        },
    ),
    "inpainter": (
        q.InpaintQuestion,
        {
            "picture": (picture("1"), picture("2"), MOVES),
            "hole": (mask(1), mask(2), MOVES),
            "avoid": (None, mask(3), MOVES),
            "label": ("", "cup", MOVES),
        },
    ),
    "edit_judge": (
        q.EditJudgeQuestion,
        {
            "source": (picture("1"), picture("2"), STAYS),
            "edited": (picture("1"), picture("2"), STAYS),
            "source_boxed": (picture("1"), picture("2"), MOVES),
            "edited_boxed": (picture("1"), picture("2"), MOVES),
            "crop": (Box(x0=0, y0=0, x1=1, y1=1), Box(x0=0, y0=0, x1=2, y1=1), MOVES),
            "mask": (mask(1), mask(2), STAYS),
            "gates": ((), measured(0.5), STAYS),
            **WORDS,
        },
    ),
}


def question_of(role: str) -> q.Question:
    """Of that role, with the first value of every field."""
    kind, own = CASES[role]
    return kind(**{name: before for name, (before, _, _) in {**ALWAYS, **own}.items()})


@pytest.mark.parametrize("role", q.ROLES)
def test_each_field_of_a_question_moves_the_key_or_does_not(role):
    question, case = question_of(role), {**ALWAYS, **CASES[role][1]}
    assert {f.name for f in fields(question)} == set(case), "a new field needs a line above"
    key = answer_key(choice(role), None, question)
    assert key == answer_key(choice(role), None, question_of(role))
    for name, (_, after, moves) in case.items():
        changed = replace(question, **{name: after})
        assert (answer_key(choice(role), None, changed) != key) is moves, name


QUESTION = q.RewriteQuestion(subject="a-t0", instruction="paint it", edit_type=EditType.COLOR)


def identified(**changes: str) -> type[Backend[Any, Any]]:
    return type("Served", (Served,), {"identity": replace(Served.identity, **changes)})


class Phrased(Served):
    @classmethod
    def sent(cls, options: Options, question: q.Question) -> Mapping[str, Any]:
        return {"text": f"Please: {question.material()}"}


BACKEND_CASES: dict[str, tuple[Callable[[BackendChoice], BackendChoice], bool]] = {
    "role": (lambda before: replace(before, role="another"), MOVES),
    "name": (lambda before: replace(before, name="other"), MOVES),
    "wire": (lambda before: replace(before, backend=type("Served", (Served,), {"wire": 2})), MOVES),
    "model": (lambda before: replace(before, backend=identified(model="m2")), MOVES),
    "revision": (lambda before: replace(before, backend=identified(revision="r2")), MOVES),
    "digest": (lambda before: replace(before, backend=identified(digest="f" * 64)), MOVES),
    "answering option": (lambda before: replace(before, options=Options(temperature=0.6)), MOVES),
    "words around": (lambda before: replace(before, backend=Phrased), MOVES),
    "threshold": (lambda before: replace(before, options=Options(min_agreement=0.3)), STAYS),
    "prompt file": (lambda before: replace(before, prompts=(("p.md", "1" * 64),)), STAYS),
    "identity's role": (lambda before: replace(before, backend=identified(role="x", backend="y")), STAYS),
}


@pytest.mark.parametrize("role", q.ROLES)
@pytest.mark.parametrize("field", BACKEND_CASES)
def test_each_field_of_the_backend_moves_the_key_or_does_not(role, field):
    change, moves = BACKEND_CASES[field]
    before, question = choice(role), question_of(role)
    assert (answer_key(change(before), None, question) != answer_key(before, None, question)) is moves


def test_weights_known_by_digest_are_the_same_under_another_package_version():
    old = choice(backend=identified(digest="f" * 64, revision="package 1.0"))
    new = choice(backend=identified(digest="f" * 64, revision="package 1.1"))
    assert answer_key(old, None, QUESTION) == answer_key(new, None, QUESTION)


@pytest.mark.parametrize("role", q.ROLES)
@pytest.mark.parametrize("name", ServedModel.model_fields)
def test_each_field_of_the_served_model_moves_the_key(role, name):
    question = question_of(role)
    values = {str: "another", int: 12_345, tuple[str, ...]: ("lora",)}
    served = ServedModel(id="m")
    changed = served.model_copy(update={name: values[ServedModel.model_fields[name].annotation]})
    key = answer_key(choice(role), served, question)
    assert answer_key(choice(role), changed, question) != key
    assert answer_key(choice(role), None, question) != key


def test_a_class_whose_answering_options_do_not_exist_cannot_be_registered():
    with pytest.raises(TypeError, match=r"answering names temprature \(its options: checkpoint, temperature"):
        check_declared(type("Wrong", (Served,), {"answering": frozenset({"temprature"})}))


def test_a_class_that_declares_nothing_cannot_be_registered():
    with pytest.raises(TypeError, match="does not declare answering, reproducible, wire"):
        check_declared(type("Silent", (Backend,), {"Options": Options}))


class Undeclared:
    """Options and nothing else."""

    Options = Options


def test_a_class_of_the_table_is_checked_when_it_is_chosen(monkeypatch):
    monkeypatch.setitem(BACKENDS["tagger"], "silent", f"{__name__}:Undeclared")
    with pytest.raises(TypeError, match="Undeclared does not declare answering"):
        choose("tagger", RoleSettings(backend="silent"), "grounding.tagger")
