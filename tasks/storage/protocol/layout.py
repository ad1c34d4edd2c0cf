"""Where things lie in a dataset: the one place that spells paths."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.records import outcomes

BUILDS = "builds"
STAGES = "stages"
RELEASES = "releases"
ASIDE = "aside"
ANSWERS = "answers"
"""Answers of models, kept per photograph: what `tasks.roles.answers` writes; no part of any release."""

RUNS = "runs"
"""How runs of builds stand or ended: overwritten while they run, read by nobody but people."""

LOGS = "logs"
"""Logs of pools and servers, where the dataset is a local folder; read by nobody but people."""

MANIFEST = "MANIFEST.json"
"""What a release's folder holds, with the digest of each file: put when all of it is there."""

RUN = "RUN.json"
"""Beside the manifest: which build put the release there, when, and from which ends of its stages."""

_OF_A_DATASET = re.compile(
    rf"{BUILDS}/[0-9a-f]{{12}}(\.json|/.+)|{STAGES}/({'|'.join(outcomes.STAGES)})-[0-9a-f]{{8}}/.+"
)

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
        """What was hashed into ``config8``."""
        return f"{self.folder}/config.json"

    @property
    def plans(self) -> str:
        """Folder of the plans."""
        return f"{self.folder}/plans"

    @property
    def commits(self) -> str:
        """Folder of the commits."""
        return f"{self.folder}/commits"

    def plan_path(self, plan12: str, generation: int) -> str:
        """A generation of a plan."""
        return f"{self.plans}/{plan12}.g{generation}.json"

    def tar_path(self, unit: str, sha256: str) -> str:
        """Pixels of a unit; the name holds the content's digest."""
        return f"{self.folder}/data/{unit[:2]}/{unit}-{sha256[:12]}.tar"

    def rows_path(self, unit: str, sha256: str) -> str:
        """Rows of a unit; the name holds the content's digest."""
        return f"{self.folder}/rows/{unit[:2]}/{unit}-{sha256[:12]}.parquet"

    def commit_path(self, unit: str) -> str:
        """The only proof that a unit is done."""
        return f"{self.commits}/{unit[:2]}/{unit}.json"

    def attempts(self, unit: str) -> str:
        """Folder of a unit's attempts."""
        return f"{self.folder}/attempts/{unit[:2]}/{unit}"

    def stage_end_path(self, plan12: str, generation: int) -> str:
        """Totals of a plan; a retry's generation has its own."""
        suffix = f".g{generation}" if generation else ""
        return f"{self.folder}/stage-{plan12}{suffix}.json"

    def decisions_path(self, sha256: str) -> str:
        """Decisions of a stage's end; the name holds the content's digest."""
        return f"{self.folder}/decisions/{sha256[:12]}.parquet"


def stage_key_of(path: str) -> StageKey | None:
    """The stage a path below the dataset belongs to, or None."""
    parts = path.split("/")
    stage, _, config8 = parts[1].rpartition("-") if len(parts) > 2 and parts[0] == STAGES else ("", "", "")
    return StageKey(stage=stage, config8=config8) if stage and config8 else None


def finished_path(release: str) -> str:
    """Where it is noted that a release, by its folder, was finished: beside it, and put after its manifest."""
    return f"{release}.json"


def is_of_a_dataset(path: str) -> bool:
    """Whether only a build puts something at that path: its record, a link to a plan, or a part of a stage."""
    return _OF_A_DATASET.fullmatch(path) is not None


def answers_folder(sid: str) -> str:
    """Folder of a photograph's kept answers; one listing tells what is there.

    Raises:
        ValueError: ``sid`` is not of the form that ids of photographs have.
    """
    if _SID.fullmatch(sid) is None:
        msg = f"{sid!r}: expected the id of a photograph (2 to 64 of a-z, 0-9)"
        raise ValueError(msg)
    return f"{ANSWERS}/{sid[:2]}/{sid}"


def run_path(build: str, driver: str) -> str:
    """Where a run of a build says how it stands; ``driver`` differs between runs."""
    return f"{RUNS}/{build}-{driver}.json"


def unit_of(path: str) -> str:
    """The unit that a commit, tar or rows path is about."""
    return path.rpartition("/")[2].partition(".")[0].partition("-")[0]
