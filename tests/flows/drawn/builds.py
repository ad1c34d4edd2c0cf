"""Builds of drawn photographs with a scripted chat server for the language roles, in this process or another."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from flows.build.plans import open_build
from flows.build.progress import Progress
from flows.build.request import BuildRequest, resolve
from flows.build.session import open_session
from tasks.publishing.find_release import Release
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.answer_files import answer_name
from tasks.storage.protocol.layout import MANIFEST, RUN
from tests.flows.drawn import models
from tests.serving.chat_server import ChatServer
from tests.serving.scripts import Asked

ROOT = Path(__file__).resolve().parents[3]
PAINTERS = {model.role: {"backend": "drawn", "run": "drawn"} for model in models.MODELS}


def profile(url: str, **server: Any) -> dict[str, Any]:
    """A profile in which no role is answered by the worker itself; every role has one try."""
    chat = {"backend": "chat", "run": "words"}
    return {
        "name": "drawn",
        "sources": [{"uri": "given by an argument"}],
        "servers": {
            "words": {
                "model": {"id": "test-model", "max_pixels": 400_000},
                "urls": [url],
                "probe_s": 0.02,
                "patience_s": 60.0,
                **server,
            }
        },
        "pools": {"drawn": {"holds": sorted(PAINTERS), "max_wait_ms": 1.0}},
        "grounding": {
            **{role: PAINTERS[role] for role in ("tagger", "detector", "segmenter")},
            "judge": chat,
            "target": {"max_targets": 2},
            "unit_size": 2,
        },
        "instruction": {
            **dict.fromkeys(("instructor", "rewriter", "referrer", "text_judge"), chat),
            "tries": 1,
            "rewrite_tries": 1,
            "unit_size": 3,
            "weights": {"Color": 2, "Remove": 2, "Replace": 1, "Appearance": 1},
        },
        "editing": {
            **{role: PAINTERS[role] for role in ("editor", "inpainter", "detector", "segmenter")},
            "judge": chat,
            "unit_size": 3,
            "gates": {"max_seam_share": 1.0, "max_color_seam_share": 1.0},
        },
        "publish": {"gallery_samples": 1, "gallery_rejected": 1},
        "execution": {"pool": "in-process", "prefect": False, "min_free_bytes": 1},
    }


def written(folder: Path, tree: Mapping[str, Any]) -> str:
    """The path of the profile as a file; its name is always the same, since it is part of the configuration."""
    path = folder / "drawn.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return str(path)


def run(
    profile_path: str,
    source: Path,
    out: Path,
    *assignments: str,
    limit: int | None = None,
    retry_failed: bool = False,
) -> Release:
    """The whole build in this process."""
    request = BuildRequest(
        profile=profile_path,
        source=(str(source),),
        out=str(out),
        assignments=assignments,
        limit=limit,
        retry_failed=retry_failed,
    )
    build = open_build(resolve(request)[0], retry=retry_failed)
    with open_session(build, progress=Progress(quiet=True)) as session:
        session.run_plainly()
        return session.finish()


def command(*arguments: str) -> list[str]:
    """The command line of a build in a process of its own."""
    return [sys.executable, "-m", models.HERE, *arguments]


def process(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs it to its end."""
    return subprocess.run(
        command(*arguments), cwd=ROOT, env={**os.environ, **(environment or {})}, capture_output=True, text=True,
        timeout=3600, check=False,
    )  # fmt: skip


class Count:
    """Counts questions per role from here to `stop`: those of the servers and of the models of this process."""

    def __init__(self, *servers: ChatServer) -> None:
        self._servers = servers
        self._bodies = [len(server.bodies) for server in servers]
        self._asked = len(models.ASKED)
        self.bodies: list[tuple[str, Mapping[str, Any]]] = []
        """Role and body of each request."""
        self.subjects: list[tuple[str, str]] = []
        """Role and sample of each question to a model of this process."""

    def stop(self) -> Count:
        """Later questions are not counted."""
        pairs = zip(self._servers, self._bodies, strict=True)
        self.bodies = [body for server, first in pairs for body in server.bodies[first:]]
        self.subjects = models.ASKED[self._asked :]
        return self

    @property
    def roles(self) -> dict[str, int]:
        """Role -> count, without zeros."""
        return dict(Counter(role for role, _ in [*self.subjects, *self.bodies]))

    def of(self, role: str) -> list[Asked]:
        """Number of requests of a role."""
        return [Asked(role=role, number=0, body=body) for each, body in self.bodies if each == role]


def release_files(out: Path) -> dict[str, str]:
    """``release/file`` -> SHA-256 of a dataset's only release, without `RUN`, which has hosts and times."""
    (manifest,) = out.glob(f"releases/*/{MANIFEST}")
    files = [path for path in manifest.parent.rglob("*") if path.is_file() and path.name != RUN]
    assert len(files) > 3
    return {
        str(path.relative_to(manifest.parents[1])): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def stored_answers(out: Path) -> dict[str, int]:
    """Role -> how many answers a dataset keeps."""
    names = [answer_name(item.path) for item in open_store(str(out)).list("answers")]
    return dict(Counter(name.role for name in names if name is not None))
