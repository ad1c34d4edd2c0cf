"""The README's way from an empty machine to an edited picture, command by command, at debug size.

Downloads and `make` are played: a debug model stands for BAGEL, a tiny encoder for SAM, ten samples for the demo's
release. Where the page trains at full size, the debug size is laid under `mine.toml`. Processes of torchrun are forked,
after its own parser has read its options.
"""

import importlib
import re
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch.distributed.run import get_args_parser  # noqa: E402

from tests.intercog_model import toys  # noqa: E402
from tests.intercog_model.forked_runs import Run  # noqa: E402
from tests.intercog_model.release import write_release  # noqa: E402
from tests.intercog_model.runs import ROOT, log, saved_steps  # noqa: E402
from tests.intercog_model.test_train_switches import sam_file  # noqa: E402

PAGE = (ROOT / "intercog_model" / "README.md").read_text()
WAY = PAGE.partition("## From an empty machine")[2].partition("\n## ")[0]
SMALLER = {
    "export-20": "export-2",
    "step-4000": "step-2",
    "steps = 6000": "steps = 3",
    "--nproc-per-node 8": "--nproc-per-node 2",
}
DEBUG = "--config intercog_model/configs/debug_size.toml"
WEIGHTS = """
[model]
checkpoint = "weights/BAGEL-7B-MoT"
sam = "weights/sam_vit_h.safetensors"
features = "cached"
features_folder = "weights/sam_features"
"""


def blocks():
    """Commands and files of the page in order: (kind, text)."""
    for kind, text in re.findall(r"```(bash|toml)\n(.*?)```", WAY, re.DOTALL):
        for full, small in SMALLER.items():
            text = text.replace(full, small)  # noqa: PLW2901
        yield kind, text


def commands(text):
    for line in text.replace("\\\n", " ").splitlines():
        for part in line.split(" && "):
            if re.search(r"intercog_model\.(train|plan) ", part) and "debug_size" not in part:
                part = part.replace("--config mine.toml", f"{DEBUG} --config weights.toml --config mine.toml")  # noqa: PLW2901
            part = part.replace("--config mine.toml", "--config mine.toml --config fewer.toml")  # noqa: PLW2901
            if "intercog_model.edit" in part and "--points" not in part:
                part += " --points 3 --max-tokens 8"  # noqa: PLW2901
            yield shlex.split(part)


def run(program, *arguments):
    """Run or play one command; its exit code must be 0."""
    if program == "source" or (program, *arguments) == ("make", "setup-torch"):
        return
    if (program, *arguments) == ("make", "demo"):
        held_out = [toys.example("v0", boxes=((10, 10, 40, 30),))]
        examples = [toys.example(f"k{i}", boxes=((2 * i, i, 20 + 2 * i, 18 + i),)) for i in range(10)]
        write_release(Path("out/demo/releases/NAME"), examples, per_shard=5, validation=held_out)
    elif program == "hf":
        assert arguments[:3] == ("download", "ByteDance-Seed/BAGEL-7B-MoT", "--local-dir")
        shutil.copytree("runs/tiny/export-2", arguments[3])
    elif program == "curl":
        assert arguments[:2] == ("-L", "-o")
        assert Path(arguments[2]).name == Path(arguments[3]).name
        torch.save(sam_file(Path("sam.safetensors")), arguments[2])
    elif program == "torchrun":
        options = get_args_parser().parse_args(arguments)
        assert (options.module, options.training_script) == (True, "intercog_model.train")
        Run(options.training_script_args, int(options.nproc_per_node), "torchrun.txt").finish()
    else:
        assert (program, arguments[0]) == ("python", "-m")
        name = arguments[1] + (".__main__" if arguments[1].endswith("parity") else "")
        assert importlib.import_module(name).main(list(arguments[2:])) == 0


@pytest.mark.slow
@pytest.mark.skipif(find_spec("segment_anything") is None, reason="segment-anything is not installed")
def test_every_command_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("intercog_model", "tests", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights.toml").write_text(WEIGHTS)
    (tmp_path / "fewer.toml").write_text(
        "optim = { steps = 2, samples_per_step = 1 }\nrun = { save_every = 2 }\nvalidation = { pictures = 0 }"
    )
    done = []
    for kind, text in blocks():
        if kind == "toml":
            (tmp_path / text.partition("\n")[0].removeprefix("# ")).write_text(text)
            continue
        for words in commands(text):
            run(*words)
            done.append(words[2] if words[0] == "python" else words[0])
    assert {"make", "hf", "curl", "torchrun"} <= set(done)
    assert {
        f"intercog_model.{name}"
        for name in ("parity", "train", "plan", "validate", "export", "edit", "convert_sam", "cache_features")
    } <= set(done)
    assert PAGE.count("```bash") == WAY.count("```bash")  # there are no commands but those of the way
    assert (saved_steps("runs/mine"), log("runs/mine")[-1]["step"]) == ([2], 2)
    assert [line["step"] for line in log("runs/mine-slower")] == [3]
    for folder in ("results/tiny", "results/mine"):
        assert (tmp_path / folder / "result.edited.png").is_file()
