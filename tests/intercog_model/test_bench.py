"""The bench measures every part of every mode by both routes, which draw the same pictures."""

import json

import pytest

torch = pytest.importorskip("torch")

from intercog_model.bench import main  # noqa: E402

PARTS = {
    "edit": {"prompt", "O"},
    "edit-think": {"prompt", "thought", "O"},
    "intercog": {"prompt", "T1", "V", "V again", "T2", "O"},
}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--points", "1"], "--points 1: should be greater than or equal to 2"),
        (["--side", "-5"], "--side -5: should be greater than or equal to 1"),
        (["--tokens", "0"], "--tokens 0: should be greater than or equal to 1"),
        (["--layers", "0"], "--layers 0: should be greater than or equal to 1"),
        (["--train-steps", "-1"], "--train-steps -1: should be greater than or equal to 0"),
        (["--device", "xx"], "--device xx: "),
        (["--out", "/nowhere/found.json"], "--out /nowhere/found.json: its folder is not there"),
    ],
)
def test_wrong_arguments_are_one_line_before_anything_is_measured(more, told, capsys, monkeypatch):
    monkeypatch.setattr("intercog_model.bench.random_pipeline", pytest.fail)
    monkeypatch.setattr("intercog_model.bench.measure_training", pytest.fail)
    assert main(more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {told}")


@pytest.mark.slow
def test_every_part_is_timed_and_the_routes_agree(tmp_path):
    out = tmp_path / "bench.json"
    arguments = ["--points", "3", "--tokens", "3", "--dtype", "float32", "--device", "cpu", "--side", "48"]
    assert main([*arguments, "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    for mode, parts in PARTS.items():
        assert found[mode]["mean difference in gray levels"] < 0.1
        for route in ("batched guidance", "comparison loop"):
            run = found[mode][route]
            assert set(run["seconds by part"]) == parts
            assert all(seconds > 0 for seconds in run["seconds by part"].values())
            assert run["peak memory in bytes"] > found["weights in bytes"] > 1_000_000


@pytest.mark.slow
def test_training_speed_is_measured(tmp_path):
    out = tmp_path / "bench.json"
    arguments = [
        "--train-steps",
        "1",
        "--layers",
        "2",
        "--peak-tflops",
        "1",
        "--device",
        "cpu",
        "--side",
        "48",
    ]
    assert main([*arguments, "--out", str(out)]) == 0
    found = json.loads(out.read_text())["training"]
    assert found["language layers"] == 2
    assert found["tokens per second"] == pytest.approx(
        found["rows of the sample"] / found["seconds per step"]
    )
    assert found["mfu"] == pytest.approx(found["teraflops per second"])
