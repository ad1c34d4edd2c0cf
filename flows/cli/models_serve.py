"""``groundedit models serve``: the servers of a profile, started by hand and kept warm."""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

from flows.build.hand_started import cards_of, keep_running, own_servers
from flows.build.request import BuildRequest, resolve
from flows.cli.terminal import send, tell


def serve_profile(arguments: argparse.Namespace) -> int:
    """Prints each server's URL when it is ready; ends, and leaves nothing, at Ctrl-C or SIGTERM.

    Raises:
        ConfigurationError: the profile has no such server, or they do not fit this machine's GPUs.
        ModelUnavailable: a server cannot be started.
    """
    request = BuildRequest(profile=arguments.profile, assignments=tuple(arguments.assignments))
    config, _ = resolve(request)
    servers = own_servers(config, arguments.server)
    cards_of(servers, config.execution)  # what cannot fit is said before anything is said to start
    for name in servers:
        tell(f"servers.{name}: starting; output in {_log_of(name)}")
    send()

    def show(name: str, urls: tuple[str, ...]) -> None:
        tell(f"servers.{name}: ready at {', '.join(urls)}; a build uses it with")
        tell(f"  --set 'servers.{name}.urls=[{', '.join(urls)}]'")
        send()  # whoever waits for this line may read it through a pipe

    asyncio.run(keep_running(servers, config.execution, _log_of, show))
    tell(f"ended: {', '.join(servers)}")
    return 0


def _log_of(server: str) -> Path:
    return Path(tempfile.gettempdir()) / "groundedit" / "servers" / f"{server}-{os.getpid()}.log"
