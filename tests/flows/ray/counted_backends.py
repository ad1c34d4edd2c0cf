"""Small backends for pools: they count themselves in files, and fail on request."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from tasks.records.errors import SampleError
from tasks.records.records import ModelIdentity, Tag
from tasks.records.settings_base import Settings
from tasks.roles.backend import LocalBackend
from tasks.roles.questions import Detection, DetectQuestion, TagQuestion


class CountedOptions(Settings):
    """Where it counts."""

    folder: str = Field(default="", description="folder for its files")


class CountedTagger(LocalBackend[TagQuestion, tuple[Tag, ...]]):
    """Names the process that answered; the subject ``…kill`` kills it, ``…kill-once`` does so once."""

    Options: ClassVar[type[Settings]] = CountedOptions
    answering: ClassVar[frozenset[str]] = frozenset()
    reproducible = False
    wire = 1
    role: ClassVar[str] = "tagger"

    def __init__(self, options: CountedOptions) -> None:
        self.folder = Path(options.folder)
        (self.folder / f"load-{self.role}-{os.getpid()}").touch()

    @classmethod
    def identity_of(cls, options: CountedOptions) -> ModelIdentity:
        return ModelIdentity(role=cls.role, backend="counted", model="counted", revision="1", digest="none")

    def answer(self, questions: Sequence[TagQuestion]) -> list[tuple[Tag, ...] | SampleError]:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
        for question in questions:
            name = question.subject
            if name.endswith("-kill") or (name.endswith("-kill-once") and self._first(name)):
                os.kill(os.getpid(), 9)
        time.sleep(0.02)
        for question in questions:
            (self.folder / f"asked-{question.subject}-{time.monotonic_ns()}").write_text(
                f"{os.getpid()} {visible} {len(questions)}"
            )
        return [(Tag(name=f"{os.getpid()}:{visible}", score=1.0),) for _ in questions]

    def _first(self, name: str) -> bool:
        try:
            (self.folder / f"killed-{name}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


class CountedDetector(LocalBackend[DetectQuestion, tuple[Detection, ...]]):
    """Answers with nothing, and says which process and card it is in."""

    Options: ClassVar[type[Settings]] = CountedOptions
    answering: ClassVar[frozenset[str]] = frozenset()
    reproducible = False
    wire = 1

    def __init__(self, options: CountedOptions) -> None:
        self.folder = Path(options.folder)
        (self.folder / f"load-detector-{os.getpid()}").touch()

    @classmethod
    def identity_of(cls, options: CountedOptions) -> ModelIdentity:
        return ModelIdentity(role="detector", backend="counted", model="counted", revision="1", digest="none")

    def answer(self, questions: Sequence[DetectQuestion]) -> list[tuple[Detection, ...] | SampleError]:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
        (self.folder / f"detected-{os.getpid()}-{time.monotonic_ns()}").write_text(visible)
        return [() for _ in questions]
