"""A tiny model learns two samples: every loss falls, and the examination says what it should."""

import json

import pytest

torch = pytest.importorskip("torch")

from intercog_model.overfit import examine, main  # noqa: E402
from intercog_model.training.by_heart import Overfit, OverfitSettings, choose, photograph  # noqa: E402
from tests.intercog_model import release, toys  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    examples = [
        toys.example("p0-t0-p0", boxes=((6, 8, 26, 36),), instruction="Paint the left box."),
        toys.example("p0-t1-p0", boxes=((36, 14, 60, 40),), instruction="Paint the right box."),
        toys.example("p1-t0-p0", boxes=((10, 10, 40, 30),)),
    ]
    return release.write_release(tmp_path_factory.mktemp("data") / "release", examples)


def test_photographs_with_several_targets_are_chosen_first(folder):
    assert [photograph(e) for e in choose(str(folder), 2)] == ["p0", "p0"]
    with pytest.raises(ValueError, match="3 samples, 9 were asked for"):
        choose(str(folder), 9)


@pytest.mark.slow
def test_two_samples_are_learnt(folder):
    overfit = Overfit(choose(str(folder), 2), OverfitSettings(steps=120, vae_steps=60, minutes=10))
    overfit.fit_autoencoder()
    before = overfit.losses(10**6)
    assert overfit.learn() == 120
    after = overfit.losses(10**6)
    assert after["ce"] < 0.25 * before["ce"]
    assert after["mse"] < 0.95 * before["mse"]
    assert after["tv"] < before["tv"] - 0.5
    assert after["vv"] < before["vv"] - 0.5
    for name in ("mask_text", "mask_v", "mask_o"):
        assert after[name] < 0.6 * before[name], name


@pytest.mark.slow
def test_the_examination_reports_every_part(folder, tmp_path):
    overfit = Overfit(choose(str(folder), 2), OverfitSettings(steps=2, vae_steps=1, points=2))
    overfit.learn()
    found = examine(overfit, overfit.losses(0), draws=1)
    assert set(found["mean IoU"]["conditioned"]) == {"mask_text", "mask_v", "mask_o"}
    assert found["exact T1 and T2"] == "0 of 2"  # nothing is learnt in two steps
    assert len(found["swapped instructions"]) == 2
    out = tmp_path / "found.json"
    assert main([str(folder), "--samples", "2", "--steps", "1", "--out", str(out)]) == 0
    assert "losses after" in json.loads(out.read_text())
