"""Steps built ahead are the steps built in turn, and what was left out survives a resumed run."""

import pytest

torch = pytest.importorskip("torch")

from intercog_model.data.mixture import Mixture, SourceConfig  # noqa: E402
from intercog_model.grounding.config import DEBUG_HEADS  # noqa: E402
from intercog_model.grounding.features import RandomPatchFeatures  # noqa: E402
from intercog_model.training.step_feed import StepFeed  # noqa: E402
from intercog_model.training.step_plan import StepPlanner  # noqa: E402
from tests.intercog_model import release, toys  # noqa: E402
from tests.intercog_model.runs import log, overlay, saved_steps, trainer_of, without_times  # noqa: E402

BROKEN = ("k1", "k3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    examples = [toys.example(f"k{i}", boxes=((2 * i, i, 20 + 2 * i, 18 + i),)) for i in range(6)]

    def change(key, parts):
        return {n: d for n, d in parts.items() if n != "mask.png"} if key in BROKEN else parts

    return release.write_release(tmp_path_factory.mktemp("data") / "release", examples, change=change)


def planner(folder):
    mixture = Mixture([SourceConfig(name="g", kind="grounding", uri=str(folder))], seed=0)
    features = RandomPatchFeatures(DEBUG_HEADS.width, DEBUG_HEADS.grid)
    return StepPlanner(mixture, toys.builder(), features, seed=0, samples=2, max_tokens=9000)


def test_steps_built_ahead_are_those_built_in_turn(folder):
    feed = StepFeed(planner(folder), rank=0, ranks=1, first=0, stop=4)
    plain = planner(folder)
    for step in range(4):
        ready, plan = feed.take(), plain.plan(step)
        assert ready.plan.keys == plan.keys
        assert ready.position == plain.position()
        for (batch, counted), members in zip(ready.batches, plan.packs, strict=True):
            again = plain.batch(members, step)
            assert counted
            assert torch.equal(batch.packed.text_ids, again.packed.text_ids)
            assert torch.equal(batch.packed.flow_noise, again.packed.flow_noise)
    # nothing was read beyond the last step
    assert feed.planner.position() == plain.position()
    assert set(ready.broken) == set(ready.reasons) == set(BROKEN)
    assert all("mask.png" in reason for reason in ready.reasons.values())
    feed.close()


def test_reasons_survive_a_checkpoint_and_may_be_absent_from_an_old_one(folder):
    first, second, old = planner(folder), planner(folder), planner(folder)
    for step in range(4):
        first.plan(step)
    position = first.position()
    second.restore(position)
    assert second.position() == position
    old.restore({name: value for name, value in position.items() if name != "reasons"})
    assert old.position() == position | {"reasons": {}}


def test_each_left_out_sample_is_told_once_with_its_reason(folder, tmp_path, capsys):
    more = "samples_per_step = 4"
    trainer_of(overlay(tmp_path / "c.toml", folder, tmp_path / "o", steps=3, more=more)).run()
    told = [reasons for line in log(tmp_path / "o") for reasons in [line["reasons"]] if reasons]
    assert sorted(key for reasons in told for key in reasons) == sorted(BROKEN)
    assert all("mask.png" in reason for reasons in told for reason in reasons.values())
    shown = capsys.readouterr().out
    for key in BROKEN:
        assert shown.count(f"{key}: left out, ") == 1


def test_a_fault_of_the_reader_is_raised_where_its_step_is_taken(folder):
    short = planner(folder)
    short.max_tokens = 50
    feed = StepFeed(short, rank=0, ranks=1, first=0, stop=2)
    with pytest.raises(ValueError, match="no sample fits 50 tokens"):
        feed.take()
    feed.close()


@pytest.mark.slow
def test_left_out_samples_are_counted_alike_in_a_resumed_run(folder, tmp_path):
    more = "samples_per_step = 2"
    trainer_of(overlay(tmp_path / "w.toml", folder, tmp_path / "w", steps=6, more=more)).run()
    trainer_of(overlay(tmp_path / "a.toml", folder, tmp_path / "r", steps=2, more=more)).run()
    assert saved_steps(tmp_path / "r") == [2]
    trainer_of(overlay(tmp_path / "b.toml", folder, tmp_path / "r", steps=6, more=more)).run()
    lines = without_times(log(tmp_path / "r"))
    assert lines == without_times(log(tmp_path / "w"))
    assert lines[-1]["broken"] > 2
    assert set(lines[-1]["left_out"]) == set(BROKEN)
