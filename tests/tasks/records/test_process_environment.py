"""Variables of a process: reports are off, loopback goes through no proxy, and the user's own values stay."""

from __future__ import annotations

import os
import urllib.request

import httpx
import pytest

from tasks.records.errors import ConfigurationError
from tasks.records.process_environment import NO_REPORTS, check_proxies, direct, is_loopback, quiet, set_up


def test_every_switch_is_set_and_the_user_s_own_value_stays() -> None:
    environment = {"RAY_USAGE_STATS_ENABLED": "1"}
    set_up(environment)
    assert environment["RAY_USAGE_STATS_ENABLED"] == "1"
    assert {name: environment[name] for name in NO_REPORTS} == {**NO_REPORTS, "RAY_USAGE_STATS_ENABLED": "1"}
    assert "HF_HUB_OFFLINE" not in environment  # `models fetch` downloads


def test_a_process_that_only_loads_models_asks_no_hub() -> None:
    environment: dict[str, str] = {}
    set_up(environment, offline=True)
    assert environment["HF_HUB_OFFLINE"] == "1"
    mine = {"HF_HUB_OFFLINE": "0"}
    set_up(mine, offline=True)
    assert mine["HF_HUB_OFFLINE"] == "0"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"NO_PROXY": "corp.example, 10.0.0.0/8"},
        {"no_proxy": "corp.example,10.0.0.0/8"},
        {"NO_PROXY": "corp.example", "no_proxy": "10.0.0.0/8,,corp.example"},
        {"NO_PROXY": "localhost,corp.example"},
        {"no_proxy": "*"},
        {"NO_PROXY": ""},
    ],
)
def test_loopback_is_direct_in_both_spellings_beside_the_user_s_own_entries(given: dict[str, str]) -> None:
    found = direct(given, ["10.1.2.3"])
    assert found["NO_PROXY"] == found["no_proxy"]
    entries = found["NO_PROXY"].split(",")
    assert {"127.0.0.1", "localhost", "::1", "10.1.2.3"} <= set(entries)
    own = {entry.strip() for value in given.values() for entry in value.split(",")} - {""}
    assert own <= set(entries)
    assert len(entries) == len(set(entries))


def test_setting_up_twice_changes_nothing_more() -> None:
    environment = {"NO_PROXY": "corp.example"}
    set_up(environment)
    once = dict(environment)
    set_up(environment)
    assert environment == once


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"])
def test_libraries_reach_this_machine_without_the_proxy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in (
        "NO_PROXY",
        "no_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
        "HTTPS_PROXY",
    ):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    for variable, value in direct(os.environ).items():
        monkeypatch.setenv(variable, value)
    for host in ("127.0.0.1:4200", "localhost:8000"):
        assert urllib.request.proxy_bypass(host)
        with httpx.Client() as client:
            for scheme in ("http", "https"):
                transport = client._transport_for_url(httpx.URL(f"{scheme}://{host}/"))
                assert transport is client._transport


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://127.0.0.2/v1", True),
        ("http://localhost:1", True),
        ("http://LOCALHOST:1", True),
        ("http://[::1]:8000/v1", True),
        ("http://10.0.0.5:8000/v1", False),
        ("https://localhost.example.org/v1", False),
        ("https://api.example.org/v1", False),
    ],
)
def test_this_machine_is_told_from_others(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "http://proxy.example:3128",
        "https://u:p@proxy.example",
        "socks5h://127.0.0.1:1080",
        "proxy.example:3128",
    ],
)
def test_usable_proxies_are_accepted(value: str) -> None:
    check_proxies({"ALL_PROXY": value, "https_proxy": value})


@pytest.mark.parametrize(
    "value",
    ["socks4://127.0.0.1:1080", "ftp://proxy.example", "http://", "http://proxy:port", "http://[::1", "://x"],
)
@pytest.mark.parametrize("name", ["ALL_PROXY", "http_proxy"])
def test_a_proxy_that_no_client_can_use_is_named_before_any_work(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name}="):
        check_proxies({name: value})


def test_the_password_of_a_proxy_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_proxies({"ALL_PROXY": "socks4://someone:hunter2@proxy.example:1"})
    assert "hunter2" not in str(caught.value)
    assert "proxy.example:1" in str(caught.value)


def test_reports_of_the_user_s_choice_are_told_by_quiet() -> None:
    assert quiet({"DO_NOT_TRACK": "0"})["DO_NOT_TRACK"] == "0"
