"""The command line of vLLM: all of the model's part, and of the run only what may not change an answer."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tasks.records.errors import ConfigurationError
from tasks.records.process_environment import NO_REPORTS
from tasks.roles.placement import ServerSettings
from tasks.serving.supervised import ServerCommand
from tasks.serving.vllm import Place, vllm_command

PLACE = Place(host="127.0.0.1", port=8123, card_gb=80)


def settings(model: dict[str, Any] | None = None, **serve: Any) -> ServerSettings:
    return ServerSettings.model_validate(
        {
            "model": {"id": "Qwen/Qwen2.5-VL-7B-Instruct", "dtype": "bfloat16", **(model or {})},
            "serve": {"python": "/envs/vllm/bin/python", "gpu_gb": 28, **serve},
        }
    )


def command(
    model: dict[str, Any] | None = None, environment: dict[str, str] | None = None, **serve: Any
) -> ServerCommand:
    return vllm_command(settings(model, **serve), PLACE, api_key="k" * 20, environment=environment or {})


def option(made: ServerCommand, name: str) -> str:
    return made.arguments[made.arguments.index(f"--{name}") + 1]


def test_paths_are_those_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor's own is the root of the file system."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights" / "seven").mkdir(parents=True)
    made = command(python=".venv-vllm/bin/python", path="weights/seven")
    assert made.arguments[0] == str(tmp_path / ".venv-vllm/bin/python")
    assert option(made, "model") == str(tmp_path / "weights/seven")
    assert made.environment["PATH"].startswith(f"{tmp_path}/.venv-vllm/bin:")
    assert option(command(path="Qwen/Qwen3-8B"), "model") == "Qwen/Qwen3-8B"


def test_the_models_part_becomes_arguments() -> None:
    made = command(
        {"revision": "abc", "quantization": "awq", "max_pixels": 1003520, "context_length": 8192},
        args={"max-num-seqs": 128},
    )
    assert made.arguments[:5] == (
        "/envs/vllm/bin/python", "-m", "vllm.entrypoints.openai.api_server",
        "--model", "Qwen/Qwen2.5-VL-7B-Instruct",
    )  # fmt: skip
    wanted = {
        "served-model-name": "Qwen/Qwen2.5-VL-7B-Instruct",
        "revision": "abc",
        "tokenizer-revision": "abc",
        "quantization": "awq",
        "dtype": "bfloat16",
        "max-model-len": "8192",
        "generation-config": "vllm",
        "host": "127.0.0.1",
        "port": "8123",
        "gpu-memory-utilization": "0.35",
        "tensor-parallel-size": "1",
        "max-num-seqs": "128",
    }
    assert {name: option(made, name) for name in wanted} == wanted
    assert json.loads(option(made, "mm-processor-kwargs")) == {"max_pixels": 1003520}
    assert json.loads(option(made, "limit-mm-per-prompt")) == {"image": 4, "video": 0}
    assert json.loads(option(made, "structured-outputs-config")) == {
        "backend": "xgrammar",
        "disable_any_whitespace": True,
    }


def test_what_is_not_stated_is_left_to_the_model_and_texts_alone_need_no_pictures() -> None:
    made = command({"id": "Qwen/Qwen3-8B"}, path="/models/qwen3", pictures=0)
    assert option(made, "model") == "/models/qwen3"
    for name in ("revision", "quantization", "chat-template", "mm-processor-kwargs", "limit-mm-per-prompt"):
        assert f"--{name}" not in made.arguments


def test_an_adapter_answers_to_the_models_name() -> None:
    made = command({"id": "judge", "adapters": ["/models/lora"]}, path="/models/base")
    assert option(made, "lora-modules") == "judge=/models/lora"
    assert option(made, "served-model-name") == "judge-without-adapter"
    with pytest.raises(ValueError, match="one adapter at a time, got 2"):
        settings({"adapters": ["a", "b"]})


def test_a_template_is_the_file_whose_digest_the_model_states(tmp_path: Path) -> None:
    file = tmp_path / "chat.jinja"
    file.write_text("{{ messages }}")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert option(command({"template": digest}, template=str(file)), "chat-template") == str(file)
    file.write_text("{{ messages[0] }}")
    with pytest.raises(ConfigurationError, match=rf"model\.template: '{digest}', but .* has SHA-256"):
        command({"template": digest}, template=str(file))
    with pytest.raises(ValueError, match=r"model\.template .* and serve\.template"):
        settings({"template": digest})
    with pytest.raises(ValueError, match=r"model\.template .* and serve\.template"):
        settings(template=str(file))


@pytest.mark.parametrize(
    ("gpu_gb", "tensor_parallel", "share", "cards"), [(28, 1, "0.35", "1"), (80, 4, "0.95", "4")]
)
def test_the_share_of_a_card_follows_from_its_memory(
    gpu_gb: float, tensor_parallel: int, share: str, cards: str
) -> None:
    made = command(gpu_gb=gpu_gb, tensor_parallel=tensor_parallel)
    assert (option(made, "gpu-memory-utilization"), option(made, "tensor-parallel-size")) == (share, cards)


def test_a_server_for_cpus_has_no_share_of_a_card() -> None:
    made = command(gpu_gb=0)
    assert "--gpu-memory-utilization" not in made.arguments


def test_the_environment_is_a_list_and_not_that_of_the_worker() -> None:
    ours = {
        "PATH": "/usr/bin", "HOME": "/home/a", "HF_HOME": "/models/hub", "VLLM_CPU_KVCACHE_SPACE": "1",
        "OMP_NUM_THREADS": "1", "PYTHONPATH": "/code", "MALLOC_TRIM_THRESHOLD_": "1", "RAY_JOB_ID": "1",
        "AWS_SECRET_ACCESS_KEY": "s", "VLLM_API_KEY": "of-the-user", "CUDA_VISIBLE_DEVICES": "3",
        "ALL_PROXY": "socks5h://proxy.example:1080", "no_proxy": "corp.example",
    }  # fmt: skip
    made = command(environment=ours, env={"VLLM_LOGGING_LEVEL": "WARNING"})
    found = dict(made.environment)
    assert found.pop("VLLM_API_KEY") == "k" * 20
    assert found == {
        "PATH": "/envs/vllm/bin:/usr/bin", "HOME": "/home/a", "HF_HOME": "/models/hub",
        "VLLM_CPU_KVCACHE_SPACE": "1", "CUDA_VISIBLE_DEVICES": "3", "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1", "HF_HUB_OFFLINE": "1", **NO_REPORTS,
        "ALL_PROXY": "socks5h://proxy.example:1080",
        **dict.fromkeys(("no_proxy", "NO_PROXY"), "corp.example,127.0.0.1,localhost,::1"),
        "VLLM_HOST_IP": "127.0.0.1", "VLLM_LOGGING_LEVEL": "WARNING",
    }  # fmt: skip
    assert not any("kkkk" in word for word in made.arguments)


def test_the_words_of_further_arguments() -> None:
    made = command(
        args={"enforce_eager": True, "enable-prefix-caching": False, "compilation-config": {"a": 1}}
    )
    tail = made.arguments[-4:]
    assert tail == ("--enforce-eager", "--no-enable-prefix-caching", "--compilation-config", '{"a": 1}')
