"""What Ray has no setting for: a local Ray stays on loopback and asks nobody where it runs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

HOME_OF_DASHBOARD = "dashboard-home"


def stay_on_loopback() -> None:
    """Makes this process's Ray use 127.0.0.1 as the node's address, on which everything it starts then listens.

    Ray reads its switch when it is first imported, possibly before the environment is set; there is no other way
    (`ray.init` replaces a loopback address by the machine's own).
    """
    from ray._private import ray_constants  # noqa: PLC0415

    ray_constants.ENABLE_RAY_CLUSTER = False


@cache
def ask_no_cloud() -> None:
    """Keeps the API server of a local Ray from asking the addresses of three clouds for the kind of this machine.

    It does so for reports of usage, and also where these are off. Without a dashboard that server has no other task
    than those reports, so that it is not started at all. With one it finds the description of a cluster in its home
    folder, and then does not ask.
    """
    from ray._private import ray_constants  # noqa: PLC0415
    from ray._private import services as rays  # noqa: PLC0415

    services: Any = rays
    api_server, process = services.start_api_server, services.start_ray_process

    def start_api_server(include_dashboard: bool | None, *args: Any, **kwargs: Any) -> tuple[str, Any]:
        if not include_dashboard:
            return "", None
        url, started = api_server(include_dashboard, *args, **kwargs)
        return str(url), started

    def start_ray_process(command: list[str], process_type: str, fate_share: bool, **kwargs: Any) -> Any:
        if process_type == ray_constants.PROCESS_TYPE_DASHBOARD:
            kwargs["env_updates"] = {
                **(kwargs.get("env_updates") or {}),
                "HOME": _home_with_description(command),
            }
        return process(command, process_type, fate_share, **kwargs)

    services.start_api_server = start_api_server
    services.start_ray_process = start_ray_process


def _home_with_description(command: list[str]) -> str:
    option = "--session-dir="
    session = next(word.removeprefix(option) for word in command if word.startswith(option))
    home = Path(session) / HOME_OF_DASHBOARD
    home.mkdir(exist_ok=True)
    (home / "ray_bootstrap_config.yaml").write_text("provider: {type: local}\n", encoding="utf-8")
    return str(home)
