"""Every role gets a question about the photograph, whatever the roles before it answered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flows.build.trial_questions import TrialQuestions
from tasks.imaging.geometry import from_rle
from tasks.records.errors import ConfigurationError
from tasks.records.records import Box, EditType, Reasoning, Tag
from tasks.roles.questions import (
    ROLES,
    Detection,
    DetectQuestion,
    EditJudgeQuestion,
    EditQuestion,
    InpaintQuestion,
    ReferQuestion,
    RewriteQuestion,
    Segmentation,
    SegmentQuestion,
    TextQuestion,
    WrittenInstruction,
)
from tasks.stages.choices import configured_offers
from tasks.stages.config import load_config
from tests.tasks.sources.source_pictures import draw, save


@pytest.fixture
def questions(tmp_path: Path) -> TrialQuestions:
    path = tmp_path / "photo.jpg"
    path.write_bytes(save(draw()))
    config = load_config("embedded")
    return TrialQuestions.of_file(path, config, configured_offers(config))


def test_each_role_is_asked_although_none_answered(questions: TrialQuestions) -> None:
    subjects = {role: questions.question(role).subject for role in ROLES}
    sid = questions.source.sid
    assert subjects["tagger"] == subjects["segmenter"] == sid
    assert subjects["target_judge"] == f"{sid}-t0"
    assert subjects["edit_judge"] == f"{sid}-t0-p0"
    for question in map(questions.question, ROLES):
        question.material()  # pictures, crops and marks can all be named
    assert "no object was found: using a box in the middle of the photograph instead" in questions.notes


def test_answers_go_into_the_questions_after_them(questions: TrialQuestions) -> None:
    questions.record("tagger", (Tag(name="cup", score=0.9),))
    detect = questions.question("detector")
    assert isinstance(detect, DetectQuestion)
    assert detect.names == ("cup",)
    cup = Detection(label="cup", box=Box(x0=30, y0=20, x1=120, y1=90), score=0.95)
    questions.record("detector", (cup,))
    segment = questions.question("segmenter")
    assert isinstance(segment, SegmentQuestion)
    assert segment.detections == (cup,)
    mask = np.zeros((288, 320), bool)
    mask[30:80, 40:110] = True
    questions.record("segmenter", (Segmentation(mask=mask, score=0.9, method="m", checks=()),))
    part = "The cup."
    reasoning = Reasoning(
        scene_description=part, target_localization=part, editing_description=part, post_edit_description=part
    )
    written = WrittenInstruction(
        edit_type=EditType.COLOR.value, instruction="Make it blue.", argument="blue", reasoning=reasoning
    )
    questions.record("instructor", written)
    rewrite = questions.question("rewriter")
    assert isinstance(rewrite, RewriteQuestion)
    assert rewrite.instruction == "Make it blue."
    questions.record("rewriter", "Turn it blue.")
    for role in ("referrer", "text_judge"):
        question = questions.question(role)
        assert isinstance(question, ReferQuestion | TextQuestion)
        assert question.instruction == "Turn it blue."
    edit, fill = questions.question("editor"), questions.question("inpainter")
    assert isinstance(edit, EditQuestion)
    assert isinstance(fill, InpaintQuestion)
    assert edit.label == "cup"
    assert np.count_nonzero(edit.mask) == np.count_nonzero(fill.hole) == np.count_nonzero(mask)
    questions.record("editor", np.zeros((*edit.mask.shape, 3), np.uint8))
    judge = questions.question("edit_judge")
    assert isinstance(judge, EditJudgeQuestion)
    assert not judge.edited.rgb[50, 60].any()
    assert np.array_equal(from_rle(questions._grounded().mask), mask)


def test_a_file_that_is_not_a_photograph_is_refused_by_name(tmp_path: Path) -> None:
    config = load_config("embedded")
    (tmp_path / "text.jpg").write_text("words")
    for name, why in (("text.jpg", "not_an_image"), ("none.jpg", "No such file")):
        with pytest.raises(ConfigurationError, match=f"PHOTO='.*{name}': .*{why}"):
            TrialQuestions.of_file(tmp_path / name, config, configured_offers(config))
