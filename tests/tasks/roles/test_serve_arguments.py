"""What belongs to the model is refused as an argument of the run, by name and with the setting that it is."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.records.errors import ConfigurationError
from tasks.roles.placement import ServerSettings, ServeSettings
from tasks.stages.config import load_config

MODEL: dict[str, Any] = {"model": {"id": "m"}}
SERVE: dict[str, Any] = {"python": "p"}


def serve(**changes: Any) -> ServeSettings:
    return ServeSettings.model_validate({**SERVE, **changes})


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("revision", r"model\.revision"),
        ("quantization", r"model\.quantization"),
        ("--dtype", r"model\.dtype"),
        ("max_model_len", r"model\.context_length"),
        ("lora-modules", r"model\.adapters"),
        ("chat-template", r"model\.template"),
        ("generation-config", r"model\.generation_config"),
        ("override-generation-config.temperature", r"model\.generation_config"),
        ("mm-processor-kwargs", r"model\.max_pixels"),
        ("gpu-memory-utilization", r"serve\.gpu_gb"),
        ("tensor-parallel-size", r"serve\.tensor_parallel"),
        ("no-enable-lora", r"model\.adapters"),
    ],
)
def test_an_argument_that_follows_from_a_setting_is_refused_with_its_name(name: str, instead: str) -> None:
    with pytest.raises(ValidationError, match=f"set {instead} instead"):
        serve(args={name: "x"})


@pytest.mark.parametrize("name", ["load-format", "kv-cache-dtype", "seed", "host", "api-key", "config"])
def test_an_argument_that_changes_answers_or_addresses_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="may not be given here"):
        serve(args={name: "x"})


@pytest.mark.parametrize("name", ["q", "-tp", "dp", "O", "cc"])
def test_a_short_form_is_refused_since_it_stands_for_another_argument(name: str) -> None:
    with pytest.raises(ValidationError, match="expected the long name of an argument"):
        serve(args={name: 2})


@pytest.mark.parametrize("replicas", ["many", 0, 1.5, True])
def test_replicas_that_are_no_number_are_told_once(replicas: object) -> None:
    for section in ("servers.vlm.serve", "pools.painting"):
        with pytest.raises(ConfigurationError) as caught:
            load_config("single-gpu", [f"{section}.replicas={replicas}"])
        assert str(caught.value).count("expected") == 1
        assert "expected 1 or more, or 'auto'" in str(caught.value)


def test_a_type_that_the_server_does_not_know_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"model\.dtype 'int3': vllm takes auto"):
        ServerSettings.model_validate({"model": {"id": "m", "dtype": "int3"}, "serve": SERVE})


def test_arguments_of_the_run_pass_under_their_names() -> None:
    assert serve(args={"--max_num_seqs": 64, "enforce-eager": True}).args == {
        "max-num-seqs": 64,
        "enforce-eager": True,
    }


def test_a_secret_may_not_stand_in_the_configuration() -> None:
    with pytest.raises(ValidationError, match="HF_TOKEN: set it in the environment"):
        serve(env={"HF_TOKEN": "hf_x"})


@pytest.mark.parametrize(
    ("given", "got"),
    [({}, "neither"), ({"urls": ["http://127.0.0.1:1/v1"], "serve": SERVE}, "both")],
)
def test_a_server_runs_or_is_started(given: dict[str, Any], got: str) -> None:
    with pytest.raises(ValidationError, match=f"either urls or serve, got {got}"):
        ServerSettings.model_validate({**MODEL, **given})


def test_several_cards_need_their_memory_stated() -> None:
    with pytest.raises(ValidationError, match="tensor_parallel 2 needs gpu_gb"):
        serve(tensor_parallel=2)


def test_a_url_that_is_set_takes_the_place_of_serve() -> None:
    own = "servers.vlm={model: {id: m}, serve: {python: p}}"
    url = "servers.vlm.urls=[http://127.0.0.1:1/v1]"
    server = load_config("embedded", [own, url]).servers["vlm"]
    assert (server.urls, server.serve) == (("http://127.0.0.1:1/v1",), None)
    back = load_config("embedded", [own, url, "servers.vlm.serve={python: q}"]).servers["vlm"]
    assert (back.urls, back.serve is not None) == ((), True)


def test_the_refusal_names_the_key() -> None:
    own = "servers.vlm={model: {id: m}, serve: {python: p, args: {dtype: half}}}"
    with pytest.raises(
        ConfigurationError, match=r"servers\.vlm\.serve\.args: .*dtype: set model\.dtype instead"
    ):
        load_config("embedded", [own])
