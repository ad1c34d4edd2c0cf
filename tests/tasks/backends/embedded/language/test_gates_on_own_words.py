"""The gates on words, general and own, let through whatever instructor, rewriter and referrer write between them."""

from __future__ import annotations

import pytest

from tasks.backends.embedded.language.instructor import SceneFactsInstructor
from tasks.backends.embedded.language.referrer import GrammarReferrer
from tasks.backends.embedded.language.rewriter import ParaphraseRewriter
from tasks.records.errors import SampleError
from tasks.records.records import EditType
from tasks.roles.backends import WORD_GATES
from tasks.roles.questions import InstructQuestion, ReferQuestion, RewriteQuestion
from tasks.stages.instruction.words.draft import Draft
from tasks.stages.instruction.words.gates import check_words
from tasks.stages.instruction.words.scene import word_scene
from tests.tasks.roles.role_questions import unseen
from tests.tasks.stages.instruction.example_scenes import ALL, target

EDITS = (
    (EditType.COLOR, "orange"),
    (EditType.REMOVE, ""),
    (EditType.APPEARANCE, "sepia"),
    (EditType.MATERIAL, "gold"),
    (EditType.MATERIAL, "walnut wood"),
    (EditType.REPLACE, "red stool"),
    (EditType.ADD, "another dog to the left"),
    (EditType.TEXT, "SALE"),
)


@pytest.mark.parametrize("make", ALL)
def test_no_gate_refuses_the_embedded_writers(make):
    whole, written, refused = make(), 0, []
    for index in range(len(whole.objects)):
        for edit_type, argument in EDITS:
            for seed in range(3):
                goal = target(whole, index)
                question = InstructQuestion(
                    subject="s",
                    seed=seed,
                    picture=unseen(),
                    boxed=unseen(),
                    target=goal,
                    edit_type=edit_type,
                    argument=argument or "none",
                )
                (reply,) = SceneFactsInstructor().answer([question])
                if isinstance(reply, SampleError):
                    continue
                rewritten = ParaphraseRewriter().answer_one(
                    RewriteQuestion(
                        subject="s", seed=seed, instruction=reply.instruction, edit_type=edit_type
                    )
                )
                referred = GrammarReferrer().answer_one(
                    ReferQuestion(
                        subject="s",
                        picture=unseen(),
                        numbered=unseen(),
                        instruction=rewritten,
                        scene=whole,
                    )
                )
                draft = Draft(
                    scene=word_scene(goal),
                    edit_type=edit_type,
                    argument=argument,
                    raw="",
                    reply=reply,
                    rewritten=rewritten,
                    referred=referred.objects,
                )
                written += 1
                refused += [
                    f"{r.name}: {r.detail}" for r in check_words(draft, ["all", *WORD_GATES]) if not r.passed
                ]
    assert written > 50
    assert refused == []
