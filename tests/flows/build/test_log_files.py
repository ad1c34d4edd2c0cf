"""Each pool and server has its own log, whose path is reported."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from flows.build.log_files import close_logs, log_lines, log_path, open_logs
from flows.build.service_spec import ServiceSpec
from tasks.roles.placement import PoolSettings, ServedModel, ServerSettings


def plan(uri: str) -> ServiceSpec:
    server = ServerSettings(model=ServedModel(id="m"), urls=("http://127.0.0.1:9/v1",))
    return ServiceSpec(pools={"painting": PoolSettings(holds=("editor",))}, servers={"vlm": server}, uri=uri)


def test_what_is_said_about_a_pool_or_server_goes_into_its_log_alone(tmp_path: Path) -> None:
    made = plan(str(tmp_path))
    handlers = open_logs(made)
    logging.getLogger("pools.painting").warning("a replica ended: crashed")
    logging.getLogger("servers.vlm").info("http://127.0.0.1:9/v1: up again")
    close_logs(handlers)
    logging.getLogger("servers.vlm").info("after the end")
    assert log_path(made.uri, "painting").read_text().endswith("pools.painting: a replica ended: crashed\n")
    assert log_path(made.uri, "vlm").read_text().endswith("servers.vlm: http://127.0.0.1:9/v1: up again\n")


def test_a_dataset_that_is_not_local_has_its_logs_below_the_temporary_folder() -> None:
    assert (
        log_path("s3://bucket/a/b", "vlm")
        == Path(tempfile.gettempdir()) / "groundedit" / "b" / "logs" / "vlm.log"
    )


def test_an_error_names_the_logs_of_those_it_is_about(tmp_path: Path) -> None:
    made = plan(str(tmp_path))
    pool, server = (
        f"log of pools.painting: {tmp_path}/logs/painting.log",
        f"log of servers.vlm: {tmp_path}/logs/vlm.log",
    )
    assert log_lines(made) == [pool, server]
    assert log_lines(made, "servers.vlm: no answer for 900 s") == [server]
    assert log_lines(made, "editor-12345678@painting: 101 of the last 200 questions") == [pool]
    assert log_lines(made, "the disk is full") == []
