"""One Ray for all of these tests, and the folder on the path so that workers can import the toy stage."""

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


@pytest.fixture(scope="session")
def cluster() -> Iterator[RayCluster]:
    """A local Ray with two workers, started once."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), HERE]))
    cluster = RayCluster(ClusterSettings(workers=2))
    cluster.wait()
    yield cluster
    cluster.stop()
