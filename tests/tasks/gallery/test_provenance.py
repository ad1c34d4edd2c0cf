"""What made the samples of a page: shared facts once, others with the sample."""

from __future__ import annotations

from tasks.gallery.provenance import Made, made_of_refused, made_of_sample, shared_by
from tasks.publishing.describe_sample import describe_sample
from tasks.publishing.shard_format import ModelShape, PromptShape
from tasks.records.records import EditType


def model(role, revision="1"):
    return ModelShape(role=role, backend="b", model="m", revision=revision, digest="none")


PROMPT = PromptShape(name="instructor", sha256="cd" * 32)


def test_what_all_have_is_shared_and_the_rest_is_ones_own():
    first = Made(models=(model("detector"), model("editor")), prompts=(PROMPT,))
    second = Made(models=(model("editor", "2"), model("detector")))
    shared = shared_by([first, second])
    assert shared == Made(models=(model("detector"),))
    assert first.without(shared) == Made(models=(model("editor"),), prompts=(PROMPT,))
    assert second.without(shared) == Made(models=(model("editor", "2"),))


def test_one_sample_shares_everything_with_itself_and_none_shares_nothing():
    only = Made(models=(model("editor"),), prompts=(PROMPT,))
    assert shared_by([only]) == only
    assert shared_by([]) == Made()


def test_a_sample_and_its_records_tell_the_same(drawn):
    plan = drawn.edit_plan(drawn.target(drawn.source_image("shots/a.jpg")), EditType.COLOR)
    sample = drawn.edited_sample(plan)
    told = made_of_sample(describe_sample(sample, "train", drawn.CONTEXT, drawn.LIBRARIES))
    refused = made_of_refused(plan.target, plan, sample)
    assert (told.models, told.prompts) == (refused.models, refused.prompts)
    assert [(item.name, item.version) for item in told.libraries] == list(drawn.LIBRARIES)
    assert [m.role for m in told.models] == [
        "detector",
        "target_judge",
        "instructor",
        "rewriter",
        "editor",
        "edit_judge",
    ]
    assert told.prompts == (PROMPT,)


def test_what_ended_early_names_only_who_was_asked(drawn):
    assert made_of_refused(None, None, None) == Made()
    target = drawn.target(drawn.source_image("shots/a.jpg"))
    assert [m.role for m in made_of_refused(target, None, None).models] == ["detector", "target_judge"]


def test_a_sample_without_prompts_lists_none(drawn):
    plan = drawn.edit_plan(drawn.target(drawn.source_image("shots/a.jpg")), EditType.REMOVE)
    meta = describe_sample(drawn.edited_sample(plan), "train", drawn.CONTEXT, ())
    assert made_of_sample(meta).prompts == made_of_sample(meta).libraries == ()
