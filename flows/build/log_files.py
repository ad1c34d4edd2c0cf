"""One log file per pool and server: what happened to it, on the machine where it happened."""

from __future__ import annotations

import faulthandler
import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path

from flows.build.service_plan import ServicePlan
from tasks.storage.objects.uris import local_folder
from tasks.storage.protocol.layout import LOGS

FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"


def log_path(uri: str, run: str) -> Path:
    """The log of a pool or server of the dataset ``uri``: below it, or below the temporary folder if it is remote."""
    base = (
        local_folder(uri) or Path(tempfile.gettempdir()) / "groundedit" / uri.rstrip("/").rpartition("/")[2]
    )
    return base / LOGS / f"{run}.log"


def open_logs(plan: ServicePlan) -> list[logging.FileHandler]:
    """Begins the logs of all pools and servers of a plan, in the process that holds their router.

    What is said about one goes through the logger of its name: ``pools.<name>`` or ``servers.<name>``.
    """
    return [
        _to_file(logging.getLogger(f"{kind}.{name}"), log_path(plan.uri, name))
        for kind, names in (("pools", plan.pools), ("servers", plan.servers))
        for name in names
    ]


def log_everything(path: str) -> None:
    """Sends all that is logged in this process, a replica of a pool, to the pool's log; a crash of native code, too."""
    handler = _to_file(logging.getLogger(), Path(path))
    assert handler.stream is not None, "opened at once"
    faulthandler.enable(handler.stream)


def close_logs(handlers: Iterable[logging.FileHandler]) -> None:
    """Ends what `open_logs` began."""
    for handler in handlers:
        logging.getLogger(handler.get_name()).removeHandler(handler)
        handler.close()


def log_lines(plan: ServicePlan, about: str = "") -> list[str]:
    """A line for each pool and server that says where its log is; of those that a message is ``about``, if given."""
    return [
        f"log of {kind}.{name}: {log_path(plan.uri, name)}"
        for kind, names in (("pools", plan.pools), ("servers", plan.servers))
        for name in names
        if not about or f"{kind}.{name}" in about or f"@{name}" in about
    ]


def _to_file(logger: logging.Logger, path: Path) -> logging.FileHandler:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.set_name(logger.name)
    handler.setFormatter(logging.Formatter(FORMAT))
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    return handler
