"""A real vLLM, in an environment of its own, opens an exported model and reads the same text out of it."""

import json
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from intercog_model.config import debug_config  # noqa: E402
from intercog_model.inference.context import Context  # noqa: E402
from intercog_model.inference.pipeline import load_pipeline  # noqa: E402
from intercog_model.training import build  # noqa: E402
from intercog_model.training.export_run import export_run  # noqa: E402
from tests.environments import run_in, vllm_python  # noqa: E402
from tests.intercog_model.runs import SMALL, overlay, trainer_of, write_samples  # noqa: E402

COUNT = 12


def wide_config():
    """The debug flavor with heads of 64 channels, the narrowest but one that vLLM's attention on a CPU has."""
    config = debug_config()
    llm = replace(config.llm, hidden_size=128, num_attention_heads=2, num_key_value_heads=1)
    return replace(config, llm=llm)


@pytest.mark.long
def test_vllm_generates_the_same_tokens_from_an_exported_run(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "debug_config", wide_config)
    release = write_samples(tmp_path / "release")
    trainer_of(overlay(tmp_path / "c.toml", release, tmp_path / "out", steps=3, more=SMALL)).run()
    folder = export_run(str(tmp_path / "out"))
    pipeline = load_pipeline(folder, dtype=torch.float32)
    text = pipeline.ids("Make the left box blue, then the right one red.")
    context = Context(pipeline.model)
    context.add_text(text)
    ours = context.generate_text(COUNT, ignore_end=True)
    tokens = pipeline.model.config.tokens
    prompt = [tokens.text_start, *text, tokens.text_end, tokens.text_start]
    printed = run_in(
        vllm_python(),
        "-m",
        "tests.serving.greedy_tokens",
        str(folder),
        json.dumps(prompt),
        str(COUNT),
        VLLM_CPU_KVCACHE_SPACE="1",
        VLLM_ENABLE_V1_MULTIPROCESSING="0",
        VLLM_NO_USAGE_STATS="1",
        DO_NOT_TRACK="1",
        HF_HUB_OFFLINE="1",
    )
    theirs = json.loads(printed.splitlines()[-1])
    print(ours, theirs)
    assert theirs["ids"] == ours
    assert len(set(ours)) > 1  # one token over and over would show little
    assert theirs["text"] == pipeline.tokenizer.decode(ours)
