"""What a release says about the build it came from, gathered once by the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from tasks.records.outcomes import STAGES
from tasks.storage.reports.tallies import StageTally

PIXEL_LIBRARIES = (
    "ai-edge-litert",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "pillow",
    "pycocotools",
    "pypatchmatch",
    "simplejpeg",
)
"""Libraries that shape pixels or masks; those installed are named in each sample, with their versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """A model, photograph collection or library that must be named; ``licence`` may be ``unstated (…)``."""

    kind: str
    name: str
    version: str
    licence: str
    credit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleContext:
    """What a sample's JSON says beyond its record; part of the publish stage's digest.

    Attributes:
        seed: of the build.
        stages: (stage, config8) in order, ``publish`` last.
        libraries: (name, version) of those that shape pixels.
        min_accuracy, min_seamlessness: thresholds of the edit judge's scores, 1..5.
    """

    seed: int
    stages: tuple[tuple[str, str], ...]
    libraries: tuple[tuple[str, str], ...]
    min_accuracy: float
    min_seamlessness: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseContext:
    """What the card and the gallery say beyond the samples; part of the release's hash.

    Nothing in it may depend on when, where or by how many workers the build was made. ``funnel`` is filled in by
    `tasks.publishing.funnel`, since it follows from the plans.
    """

    name: str
    profile: str
    sample: SampleContext
    attributions: tuple[Attribution, ...] = ()
    funnel: tuple[StageTally, ...] = ()


def sample_context(
    seed: int, digests: Mapping[str, str], min_accuracy: float, min_seamlessness: float
) -> SampleContext:
    """The context of a build in this environment; ``digests`` is stage to config8."""
    return SampleContext(
        seed=seed,
        stages=tuple((stage, digests[stage]) for stage in STAGES),
        libraries=pixel_libraries(),
        min_accuracy=min_accuracy,
        min_seamlessness=min_seamlessness,
    )


def pixel_libraries() -> tuple[tuple[str, str], ...]:
    """(name, version) of the installed `PIXEL_LIBRARIES`."""
    found = []
    for name in PIXEL_LIBRARIES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return tuple(found)
