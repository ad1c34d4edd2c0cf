"""The plan of a run: its memory beside what the allocator hands out, its arithmetic, and what it tells."""

import pytest

torch = pytest.importorskip("torch")

from intercog_model import plan  # noqa: E402
from intercog_model.config import debug_config  # noqa: E402
from intercog_model.grounding.config import DEBUG_HEADS  # noqa: E402
from intercog_model.training.config_files import load_config  # noqa: E402
from intercog_model.training.devices import GPUS, known_gpu  # noqa: E402
from intercog_model.training.plan_memory import plan_memory  # noqa: E402
from intercog_model.training.plan_packs import planned_packs  # noqa: E402
from intercog_model.training.plan_report import Assumed  # noqa: E402
from tests.intercog_model import allocations  # noqa: E402
from tests.intercog_model.runs import CONFIGS, finish, overlay, start, write_samples  # noqa: E402

FILES = [CONFIGS / "groundedit_only.toml", CONFIGS / "debug_size.toml"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ranks", "recompute"),
    [
        (1, "none"),
        pytest.param(2, "full", marks=pytest.mark.long),
        pytest.param(1, "full", marks=pytest.mark.long),
        pytest.param(2, "none", marks=pytest.mark.long),
    ],
)
def test_planned_memory_is_what_the_allocator_hands_out(ranks, recompute, tmp_path):
    folder = write_samples(tmp_path / "release")
    run = f'activation_checkpointing = "{recompute}"'
    mine = overlay(tmp_path / "c.toml", folder, tmp_path / "out", more="max_tokens = 2048", run=run)
    files = [*map(str, FILES), str(mine)]
    finish(start(["-m", "tests.intercog_model.allocations", str(tmp_path / "peak"), *files], ranks))
    config = load_config([*FILES, mine])
    packs = planned_packs(config, debug_config(), DEBUG_HEADS)
    batches = [packs.batch(members) for members in packs.step.packs[: allocations.PACKS]]
    found = plan_memory(config, debug_config(), DEBUG_HEADS, packs, batches, ranks)
    # on a CPU no pack is moved, so all of them stay
    planned = found.peak - found.kinds["pack"] + found.packs
    assert planned == pytest.approx(int((tmp_path / "peak").read_text()), rel=0.1)


def test_a_plan_tells_what_it_assumes_and_whether_it_fits(tmp_path, capsys):
    mine = tmp_path / "c.toml"
    mine.write_text("[optim]\nsteps = 7\nsamples_per_step = 2\nmax_tokens = 2048\n")
    arguments = [part for file in [*FILES, mine] for part in ("--config", str(file))]
    assert plan.main([*arguments, "--gpus", "2", "--mfu", "0.5"]) == 0
    told = capsys.readouterr().out
    assert "| GPUs | 2 x H100 |" in told
    assert "| copies of the model (run.replicas) | 1 |" in told
    assert "| fits | yes, 80 GB |" in told
    assert "MFU 0.5 of 989.4 TFLOP/s, measured" in told
    assert "photographs of 2250 x 1500 pixels" in told
    assert "not to be seen here, GB, assumed | 5" in told


def test_the_share_of_the_peak_is_that_of_a_published_run_that_recomputes_as_much():
    found = {recompute: Assumed.of(None, recompute) for recompute in ("full", "selective", "none")}
    assert {name: assumed.mfu for name, assumed in found.items()} == {
        "full": 0.1789, "selective": 0.2369, "none": 0.2369,
    }  # fmt: skip
    assert "assumed: what BAGEL's own trainer is published to reach" in found["full"].origin


def test_wrong_numbers_are_refused(capsys):
    arguments = [part for file in FILES for part in ("--config", str(file))]
    assert plan.main([*arguments, "--mfu", "2"]) == 2
    assert plan.main([*arguments, "--gpus", "0"]) == 2
    assert "--mfu 2.0" in (told := capsys.readouterr().err)
    assert "--gpus 0" in told


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA A100-SXM4-40GB", "a100-40gb"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA GB200", "gb200"),
    ],
)
def test_devices_are_known_by_the_names_they_give_themselves(name, kind):
    assert known_gpu(name) is GPUS[kind]


def test_an_unknown_device_has_no_peak():
    assert known_gpu("cpu") is None
    assert known_gpu("NVIDIA H1000") is None
