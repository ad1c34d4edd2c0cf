"""The layout of a dataset: all paths are defined here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.records import outcomes

BUILDS = "builds"
STAGES = "stages"
RELEASES = "releases"
ASIDE = "aside"
ANSWERS = "answers"
"""Answers of models, kept per photograph, written by `tasks.roles.answers`; not part of any release."""

RUNS = "runs"
"""State of running and finished runs: overwritten while they run, only for people to read."""

LOGS = "logs"
"""Logs of pools and servers, if the dataset is a local folder; only for people to read."""

PROBE = "probe"
"""Where a build tries, before any work, whether it may write; empty afterwards."""

PARTS = (ANSWERS, ASIDE, BUILDS, LOGS, RELEASES, RUNS, STAGES)
"""Top-level folders that a build writes."""

MANIFEST = "MANIFEST.json"
"""Contents of a release's folder, with the digest of each file; written when the release is complete."""

RUN = "RUN.json"
"""Beside the manifest: which build made the release, when, and from which stage ends."""

_OF_A_DATASET = re.compile(
    rf"{BUILDS}/[0-9a-f]{{12}}(\.json|/.+)|{STAGES}/({'|'.join(outcomes.STAGES)})-[0-9a-f]{{8}}/.+"
)

_WRITTEN = re.compile(
    rf"""{BUILDS}/[0-9a-f]{{12}}\.json
    |{BUILDS}/[0-9a-f]{{12}}/[a-z]+\.(sources|[0-9a-f]{{12}}\.g\d+)\.[0-9a-f]{{12}}\.g\d+\.json
    |{RUNS}/[0-9a-f]{{12}}-[^/]+\.json
    |{STAGES}/[a-z]+-[0-9a-f]{{8}}/(
        config\.json
        |plans/[0-9a-f]{{12}}\.g\d+\.json
        |commits/[0-9a-f]{{2}}/[0-9a-f]+\.json
        |rechecks/\d{{6}}\.json
        |attempts/[0-9a-z]{{1,2}}/[0-9a-z]+/\d+(\.left|\.renewed)?\.json
        |data/[0-9a-f]{{2}}/[0-9a-f]+-[0-9a-f]{{12}}\.tar
        |rows/[0-9a-f]{{2}}/[0-9a-f]+-[0-9a-f]{{12}}\.parquet
        |decisions/[0-9a-f]{{12}}\.parquet
        |stage-[0-9a-f]{{12}}(\.g\d+)?\.json
    )""",
    re.VERBOSE,
)

_PLAIN = re.compile(r"(/(?!\.{1,2}(/|$))[^/\x00-\x1f\x7f\udc80-\udcff]+)+")

_SID = re.compile(r"[a-z0-9]{2,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageKey:
    """A stage under one configuration.

    Attributes:
        stage: one of `tasks.records.outcomes.STAGES`.
        config8: first 8 hex digits of the digest of everything that can change the stage's results.
    """

    stage: str
    config8: str

    @property
    def folder(self) -> str:
        """The stage's folder below the dataset."""
        return f"{STAGES}/{self.stage}-{self.config8}"

    @property
    def config_path(self) -> str:
        """The material that was hashed into ``config8``."""
        return f"{self.folder}/config.json"

    @property
    def plans(self) -> str:
        """Folder of the plans."""
        return f"{self.folder}/plans"

    @property
    def commits(self) -> str:
        """Folder of the commits."""
        return f"{self.folder}/commits"

    @property
    def rechecks(self) -> str:
        """Folder of the marks that rechecks of the sources left (ingest only)."""
        return f"{self.folder}/rechecks"

    def recheck_path(self, number: int) -> str:
        """The marks of one recheck."""
        return f"{self.rechecks}/{number:06d}.json"

    def plan_path(self, plan12: str, generation: int) -> str:
        """One generation of a plan."""
        return f"{self.plans}/{plan12}.g{generation}.json"

    def tar_path(self, unit: str, sha256: str) -> str:
        """Pixels of a unit; the name contains the content's digest."""
        return f"{self.folder}/data/{unit[:2]}/{unit}-{sha256[:12]}.tar"

    def rows_path(self, unit: str, sha256: str) -> str:
        """Rows of a unit; the name contains the content's digest."""
        return f"{self.folder}/rows/{unit[:2]}/{unit}-{sha256[:12]}.parquet"

    def commit_path(self, unit: str) -> str:
        """The only object that marks a unit as done."""
        return f"{self.commits}/{unit[:2]}/{unit}.json"

    def attempts(self, unit: str) -> str:
        """Folder of a unit's attempts."""
        return f"{self.folder}/attempts/{unit[:2]}/{unit}"

    def stage_end_path(self, plan12: str, generation: int) -> str:
        """Totals of a plan; a retry's generation has its own."""
        suffix = f".g{generation}" if generation else ""
        return f"{self.folder}/stage-{plan12}{suffix}.json"

    def decisions_path(self, sha256: str) -> str:
        """Decisions of a stage's end; the name contains the content's digest."""
        return f"{self.folder}/decisions/{sha256[:12]}.parquet"


def stage_key_of(path: str) -> StageKey | None:
    """The stage that a path below the dataset belongs to, or None."""
    parts = path.split("/")
    stage, _, config8 = parts[1].rpartition("-") if len(parts) > 2 and parts[0] == STAGES else ("", "", "")
    return StageKey(stage=stage, config8=config8) if stage and config8 else None


def finished_path(release: str) -> str:
    """Path of the marker that a release (by its folder) was completed: beside it, written after its manifest."""
    return f"{release}.json"


def is_of_a_dataset(path: str) -> bool:
    """Whether only a build writes at that path: its record, a link to a plan, or a part of a stage."""
    return _OF_A_DATASET.fullmatch(path) is not None


def is_written(path: str) -> bool:
    """Whether a path below builds, stages or runs is one that a build gives; anything else there is a foreign file."""
    return _WRITTEN.fullmatch(path) is not None


def is_plain(path: str) -> bool:
    """Whether every part of a path is one that a store reads back as it stands; names of foreign files may be any."""
    return _PLAIN.fullmatch(f"/{path}") is not None


def answers_folder(sid: str) -> str:
    """Folder of a photograph's kept answers; one listing shows all of them.

    Raises:
        ValueError: ``sid`` does not have the form of a photograph's id.
    """
    if _SID.fullmatch(sid) is None:
        msg = f"{sid!r}: expected the id of a photograph (2 to 64 of a-z, 0-9)"
        raise ValueError(msg)
    return f"{ANSWERS}/{sid[:2]}/{sid}"


def run_path(build: str, driver: str) -> str:
    """Path of the state of a build's run; ``driver`` differs between runs."""
    return f"{RUNS}/{build}-{driver}.json"


def unit_of(path: str) -> str:
    """The unit that a commit, tar or rows path belongs to."""
    return path.rpartition("/")[2].partition(".")[0].partition("-")[0]
