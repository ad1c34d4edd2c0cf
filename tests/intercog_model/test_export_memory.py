"""What the export command takes of host memory, on a model that is much larger than what it may take."""

import json
import sys
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from intercog_model.checkpoint import MODEL_FILE  # noqa: E402
from intercog_model.config import debug_config  # noqa: E402
from intercog_model.saving import Weights, save_folder  # noqa: E402
from intercog_model.training.build import random_debug_models  # noqa: E402
from intercog_model.training.checkpoint_folder import BLOCK  # noqa: E402
from intercog_model.training.checkpoints import Checkpoints  # noqa: E402
from intercog_model.training.config import to_json  # noqa: E402
from intercog_model.training.config_files import load_config  # noqa: E402
from intercog_model.training.run_record import RunRecord  # noqa: E402
from tests.environments import run_in  # noqa: E402
from tests.intercog_model.runs import CONFIGS  # noqa: E402

MEASURED = """
import re, sys
from pathlib import Path
from intercog_model import export

def peak():  # of this program alone: what getrusage tells began with the process that started it
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

before = peak()
assert export.main(sys.argv[1:]) == 0
print(before, peak())
"""


@pytest.mark.slow
def test_export_holds_one_tensor_at_a_time(tmp_path):
    config = debug_config()
    llm = replace(config.llm, vocab_size=32768, hidden_size=512, intermediate_size=2048, num_hidden_layers=10)
    bagel, vae = random_debug_models(replace(config, llm=llm))
    weights = {name: value.detach() for name, value in bagel.state_dict().items()}
    sizes = sorted(value.numel() * 4 for value in weights.values())
    largest, total = sizes[-1], sum(sizes)
    save_folder(Weights.of(weights), bagel.config, vae, tmp_path / "base")
    more = tmp_path / "more.toml"
    more.write_text(f'[model]\ncheckpoint = "{tmp_path / "base"}"\n[run]\nout = "{tmp_path / "run"}"\n')
    settings = load_config([CONFIGS / "base.toml", CONFIGS / "debug_size.toml", more])
    state = {"config": to_json(settings), "run": RunRecord.of(settings, {}, {}).to_json()}
    checkpoints = Checkpoints(str(tmp_path / "run"), keep=1)
    averages = {f"average.bagel.{name}": value + 1 for name, value in weights.items()}
    checkpoints.save(1, averages, state)
    checkpoints.wait()
    printed = run_in(sys.executable, "-c", MEASURED, str(tmp_path / "run"))
    before, after = map(int, printed.split()[-2:])
    figures = {"before": before, "after": after, "largest": largest, "total": total}
    print(json.dumps({name: round(value / 1e6) for name, value in figures.items()}), "MB")
    assert after <= 1e9 + 2 * largest
    # the tensor, its bytes as they are read, and the block of the request
    assert after - before <= 2 * largest + BLOCK + 40e6 < total
    assert (tmp_path / "run" / "export-1" / MODEL_FILE).stat().st_size > total
