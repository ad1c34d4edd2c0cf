"""CPU seconds of a running command and all processes below it, by what kind of process they are."""

from __future__ import annotations

import subprocess
import time
from collections import defaultdict

import psutil

SAMPLE_S = 0.5
"""A process that ends between two looks loses at most this much."""

KINDS = (
    ("worker", ("ray::UnitActor", "multiprocessing.spawn")),
    ("Prefect's server", ("flows.prefect.server", "prefect.server")),
    ("Ray's own", ("raylet", "gcs_server", "ray/_private", "ray/dashboard", "ray::", "/ray/")),
)
"""Kind -> what its command line holds; whatever fits nowhere is the driver."""


def watch(process: subprocess.Popen[str]) -> dict[str, float]:
    """Waits for the end of a process; gives CPU seconds by kind."""
    seconds: dict[int, tuple[str, float]] = {}
    root = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            below = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            break
        for one in below:
            try:
                times = one.cpu_times()
                kind = _kind(one) or seconds.get(one.pid, ("driver",))[0]
                seconds[one.pid] = (kind, times.user + times.system)
            except psutil.NoSuchProcess:
                continue  # it ended between listing and asking; its last figure stands
        time.sleep(SAMPLE_S)
    found: dict[str, float] = defaultdict(float)
    for kind, spent in seconds.values():
        found[kind] += spent
    return dict(found)


def _kind(process: psutil.Process) -> str:
    """Its kind, or ``""`` of one that is ending and has no command line any more."""
    line = " ".join(process.cmdline())
    for kind, marks in KINDS:
        if any(mark in line for mark in marks):
            return kind
    return "driver" if line else ""
