"""The comparison with golden numbers: the published ones, other sizes, and folders with something wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tasks.backends.torch.ram_parity.__main__ import main  # noqa: E402
from tests.tasks.backends.torch.ram_parity import golden_writer  # noqa: E402
from tests.tasks.backends.torch.ram_parity.golden_writer import ODD, SMALL_STAGES, edit, edit_tensors  # noqa: E402

GOLDEN = Path(__file__).parents[4] / "golden" / "ram"
TAGGING = "tagging.safetensors"


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return golden_writer.write(tmp_path_factory.mktemp("golden") / "odd", ODD)


@pytest.fixture
def copy(odd: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(odd, tmp_path / "copy"))


def result(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code, and the rows that are out of tolerance, by name."""
    code = main([str(folder), "--json"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    return code, {row["name"]: row for row in rows if not row["ok"]}


def test_every_published_number_is_computed_within_tolerance(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(GOLDEN)]) == 0
    lines = capsys.readouterr().out.splitlines()
    cases = json.loads((GOLDEN / "cases.json").read_text())
    shown = {line[6:].split("  ")[0] for line in lines}
    stored = {f"{file.partition('.')[0]}: {name}" for file, names in cases["files"].items() for name in names}
    assert stored <= shown
    assert any("full size: tensors" in line and "402 of 402" in line for line in lines)
    assert lines[-1].startswith("parity passed")


@pytest.mark.parametrize("sizes", [ODD, SMALL_STAGES])
def test_other_sizes_are_derived_from_the_folder(
    sizes: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert result(golden_writer.write(tmp_path / "other", sizes), capsys) == (0, {})


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (TAGGING, "mid.stage1_block2"),
        (TAGGING, "mid.decoder2_cross_attention"),
        (TAGGING, "out.probs"),
        ("open_set.safetensors", "out.logits"),
        ("losses.safetensors", "grad_norms"),
        ("losses.safetensors", "out.loss_dis"),
    ],
)
@pytest.mark.parametrize("by", [0.01, float("nan")])
def test_a_tensor_out_of_tolerance_is_named(
    copy: Path, file: str, name: str, by: float, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name].view(-1)[-1] += by

    edit_tensors(copy, file, change)
    code, missed = result(copy, capsys)
    assert (code, list(missed)) == (1, [f"{file.partition('.')[0]}: {name}"])
    assert main([str(copy)]) == 1
    assert "parity FAILED" in capsys.readouterr().out


def test_a_decision_is_exact(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_tensors(copy, TAGGING, lambda tensors: tensors["out.tagged"][0].neg_().add_(1))
    assert list(result(copy, capsys)[1]) == ["tagging: out.tagged"]


def test_tolerances_are_those_of_the_folder(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_tensors(copy, TAGGING, lambda tensors: tensors["out.logits"].add_(0.01))
    assert result(copy, capsys)[0] == 1
    edit(copy, lambda cases: cases["tolerance"]["float tensors"].update(atol=0.02))
    assert result(copy, capsys) == (0, {})


def test_a_tensor_that_nothing_checks_is_a_miss(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = {"role": "output", "shape": [1]}
    edit(copy, lambda cases: cases["files"][TAGGING].update({"out.other": new, "out.absent": new}))
    edit_tensors(copy, TAGGING, lambda t: t.update({"out.other": torch.ones(1), "unlisted": torch.ones(1)}))
    code, missed = result(copy, capsys)
    assert code == 1
    assert {name: row["note"] for name, row in missed.items()} == {
        "tagging: out.other": "nothing computes this tensor",
        "tagging: out.absent": "is not in the file",
        "tagging: unlisted": "is not listed in cases.json",
    }


def test_a_file_that_nothing_checks_is_a_miss(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(copy / "losses.safetensors", copy / "further.safetensors")
    edit(
        copy,
        lambda cases: cases["files"].update({"further.safetensors": cases["files"]["losses.safetensors"]}),
    )
    code, missed = result(copy, capsys)
    assert code == 1
    assert all(name.startswith("further: ") for name in missed)
    assert len(missed) == 7


def test_words_buffers_and_stated_sizes_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(GOLDEN, tmp_path / "golden", copy_function=shutil.copyfile))

    def change(cases: dict[str, Any]) -> None:
        cases["extra"]["tags"][0] = "tag1"
        cases["extra"]["tags_with_deleted_index_1_2"][1] = "tag1"
        cases["extra"]["open_set_tags"] = ["open0", ""]
        cases["config"]["swin"]["depths"] = [2, 2, 2, 1]

    edit(folder, change)
    mask = "visual_encoder.layers.1.blocks.1.attn_mask"
    edit_tensors(folder, "weights-1.safetensors", lambda tensors: tensors[mask].add_(1))
    names = json.loads((folder / "full_size_names.json").read_text())
    names["model"]["names"][2][1] = [192, 3, 4, 5]
    (folder / "full_size_names.json").write_text(json.dumps(names))
    missed = result(folder, capsys)[1]
    assert missed.keys() == {
        "weights: sizes",
        f"weights: {mask}",
        "words: tags",
        "words: without [1, 2]",
        "words: open set",
        "full size: names and shapes",
    }


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shutil.rmtree, "no such folder"),
        (lambda folder: (folder / "cases.json").unlink(), "cases.json: No such file"),
        (lambda folder: (folder / "cases.json").write_text("{"), "cases.json: not JSON"),
        (lambda folder: edit(folder, lambda c: c.pop("tolerance")), "cases.json: tolerance: Field required"),
        (
            lambda folder: edit(folder, lambda c: c["config"]["swin"].update(qkv_bias=False)),
            "config.swin.qkv_bias",
        ),
        (
            lambda folder: (folder / "losses.safetensors").write_bytes(b"x"),
            "losses.safetensors: not a file of tensors",
        ),
        (
            lambda folder: (folder / "weights.safetensors").unlink(),
            "weights.safetensors: not a file of tensors",
        ),
        (
            lambda folder: edit_tensors(folder, "weights.safetensors", lambda t: t.pop("fc.bias")),
            "missing fc.bias",
        ),
        (
            lambda folder: edit_tensors(folder, TAGGING, lambda t: t.pop("in.image")),
            "missing tagging.safetensors: in.",
        ),
        (
            lambda folder: edit_tensors(
                folder, TAGGING, lambda t: t.update({"in.image": torch.ones(1, 3, 8, 8)})
            ),
            "the inputs of tagging.safetensors do not fit the network",
        ),
        (
            lambda folder: edit(folder, lambda c: c["extra"]["grad_norm_names"].append("fc")),
            "the network has no fc",
        ),
    ],
)
def test_a_folder_of_no_use_gets_one_clear_line(
    copy: Path, spoil: Callable[[Path], Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(copy)
    assert main([str(copy)]) == 2
    shown = capsys.readouterr()
    assert not shown.out
    assert said in shown.err
    assert shown.err.count("\n") == 1
