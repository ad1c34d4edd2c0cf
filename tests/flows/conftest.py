"""Shared by tests of builds: one Ray, the path for its workers to import the toy stage, drawn models."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.ray.cluster import ClusterSettings, RayCluster

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.append(HERE)


SETTINGS = ClusterSettings(workers=2, gpus=4)


@pytest.fixture(scope="session")
def cluster() -> Iterator[RayCluster]:
    """A local Ray with two workers that counts four GPUs, started once."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), HERE]))
    cluster = RayCluster(SETTINGS)
    cluster.wait()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def ray_address(cluster: RayCluster) -> str:
    """The address of that Ray for a build in another process, which inherits the token with the environment."""
    import ray  # noqa: PLC0415  (takes a second)

    return str(ray.get_runtime_context().gcs_address)


@pytest.fixture(scope="module")
def drawn_models() -> Iterator[None]:
    """Small models that count their questions, in the table of backends; see `tests.flows.drawn.models`."""
    from tests.flows.drawn import models  # noqa: PLC0415  (most tests here need none)

    with models.registered():
        yield
