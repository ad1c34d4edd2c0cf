"""One log file per pool and server, on the machine where it runs."""

from __future__ import annotations

import faulthandler
import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path

from flows.build.service_spec import ServiceSpec
from tasks.storage.objects.uris import local_folder
from tasks.storage.protocol.layout import LOGS

FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"


def log_path(uri: str, run: str) -> Path:
    """Path of the log for a pool or server of dataset ``uri``: below it, or below the temp folder if it is remote."""
    base = (
        local_folder(uri) or Path(tempfile.gettempdir()) / "groundedit" / uri.rstrip("/").rpartition("/")[2]
    )
    return base / LOGS / f"{run}.log"


def output_path(uri: str, server: str) -> Path:
    """Path of what a server that the build starts writes itself, on the machine where it runs."""
    return log_path(uri, f"{server}-output")


def open_logs(spec: ServiceSpec) -> list[logging.FileHandler]:
    """Opens the logs of all pools and servers of a spec, in the process that holds their router.

    Events of one go through the logger of its name: ``pools.<name>`` or ``servers.<name>``.
    """
    return [
        _to_file(logging.getLogger(f"{kind}.{name}"), log_path(spec.uri, name))
        for kind, names in (("pools", spec.pools), ("servers", spec.servers))
        for name in names
    ]


def log_everything(path: str) -> None:
    """Sends this process's logging (a replica of a pool) to the pool's log, with tracebacks of native crashes."""
    handler = _to_file(logging.getLogger(), Path(path))
    assert handler.stream is not None, "opened at once"
    faulthandler.enable(handler.stream)


def close_logs(handlers: Iterable[logging.FileHandler]) -> None:
    """Closes what `open_logs` opened."""
    for handler in handlers:
        logging.getLogger(handler.get_name()).removeHandler(handler)
        handler.close()


def log_lines(spec: ServiceSpec, about: str = "") -> list[str]:
    """One line per pool and server with the path of its log; if ``about`` is given, only those that it mentions."""
    paths = {
        f"{kind}.{name}": log_path(spec.uri, name)
        for kind, names in (("pools", spec.pools), ("servers", spec.servers))
        for name in names
    }
    lines = [f"log of {name}: {path}" for name, path in paths.items() if _is_about(about, name)]
    return lines + [
        f"output of servers.{name}: {output_path(spec.uri, name)}"
        for name, server in spec.servers.items()
        if server.serve is not None and _is_about(about, f"servers.{name}")
    ]


def _is_about(text: str, name: str) -> bool:
    return not text or name in text or f"@{name.partition('.')[2]}" in text


def _to_file(logger: logging.Logger, path: Path) -> logging.FileHandler:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.set_name(logger.name)
    handler.setFormatter(logging.Formatter(FORMAT))
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    return handler
