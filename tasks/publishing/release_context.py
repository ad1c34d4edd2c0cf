"""What a release states about its build, gathered once by the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.records.outcomes import STAGES
from tasks.storage.reports.tallies import StageTally


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """A model, photograph collection or library to attribute; ``license`` may be ``unstated (…)``."""

    kind: str
    name: str
    version: str
    license: str
    credit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleContext:
    """What a sample's JSON states beyond its record; all of it follows from the configuration.

    Attributes:
        seed: of the build.
        stages: (stage, config8) in order, ``publish`` last.
        min_accuracy, min_seamlessness: thresholds of the edit judge's scores, 1..5.
    """

    seed: int
    stages: tuple[tuple[str, str], ...]
    min_accuracy: float
    min_seamlessness: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseContext:
    """What the card and the gallery state beyond the samples; the release folder's hash covers it.

    Nothing in it may depend on when, where or with which installed libraries the build ran. ``funnel`` is filled in
    later by `tasks.publishing.funnel`, since it follows from the plans.
    """

    name: str
    profile: str
    sample: SampleContext
    attributions: tuple[Attribution, ...] = ()
    funnel: tuple[StageTally, ...] = ()


def sample_context(
    seed: int, digests: Mapping[str, str], min_accuracy: float, min_seamlessness: float
) -> SampleContext:
    """The context of a build; ``digests`` maps stage -> config8."""
    return SampleContext(
        seed=seed,
        stages=tuple((stage, digests[stage]) for stage in STAGES),
        min_accuracy=min_accuracy,
        min_seamlessness=min_seamlessness,
    )
