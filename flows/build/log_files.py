"""One log file per pool and server: what happened to it, on the machine where it happened."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path

from flows.build.plans import Build
from flows.build.service_plan import ServicePlan, service_plan
from tasks.storage.objects.store import local_folder
from tasks.storage.protocol.layout import LOGS

FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"


def log_path(uri: str, run: str) -> Path:
    """The log of a pool or server of the dataset ``uri``: below it, or below the temporary folder where it is remote."""
    base = local_folder(uri) or Path(tempfile.gettempdir()) / "groundedit" / uri.rstrip("/").rpartition("/")[2]
    return base / LOGS / f"{run}.log"


def open_logs(plan: ServicePlan) -> list[logging.Handler]:
    """Begins the logs of all pools and servers of a plan, in the process that holds their router.

    What is said about one goes through the logger of its name (`tasks.roles.service_log.service_log`).
    """
    return [
        _to_file(logging.getLogger(f"{kind}.{name}"), log_path(plan.uri, name))
        for kind, names in (("pools", plan.pools), ("servers", plan.servers))
        for name in names
    ]


def log_everything(uri: str, pool: str) -> logging.Handler:
    """Sends all that is logged in this process, a replica of the pool, to the pool's log."""
    return _to_file(logging.getLogger(), log_path(uri, pool))


def close_logs(handlers: Iterable[logging.Handler]) -> None:
    """Ends what `open_logs` began."""
    for handler in handlers:
        for name in [*logging.root.manager.loggerDict, ""]:
            logging.getLogger(name).removeHandler(handler)
        handler.close()


def log_lines(build: Build, about: str = "") -> list[str]:
    """A line for each pool and server that says where its log is; of those that a message is ``about``, if given."""
    plan = service_plan(build)
    return [
        f"log of {kind}.{name}: {log_path(plan.uri, name)}"
        for kind, names in (("pools", plan.pools), ("servers", plan.servers))
        for name in names
        if not about or f"{kind}.{name}" in about or f"@{name}" in about
    ]


def _to_file(logger: logging.Logger, path: Path) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(FORMAT))
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    return handler
