"""Which run this is: what decides its results, by key, with a fingerprint; what may change, and what is told."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from intercog_model.data.mixture import used_sources
from intercog_model.settings import Mark, values
from intercog_model.training.config import TrainConfig

Values = dict[str, Any]  # a key such as `optim.lr`, and its value


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The checkpoint that a forked run began from."""

    asked: str  # as --fork had it
    place: str  # folder or address of that run's checkpoints
    name: str
    run: str  # fingerprint
    step: int
    changed: list[str]  # keys of another value, as they are told

    @property
    def other_data(self) -> bool:
        """Whether the samples come from other sources, so that the parent's position among them means nothing."""
        keys = [line.partition(": ")[0] for line in self.changed]
        return any(
            key == "sources" or (key.startswith("sources.") and key.endswith("sha256")) for key in keys
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run's configuration and inputs, by what a change of them means."""

    identity: Values
    numerics: Values
    operation: Values
    parent: Parent | None = None

    @classmethod
    def of(cls, config: TrainConfig, inputs: Values, facts: Values) -> Self:
        """The record of a resolved configuration.

        Args:
            config: of the run.
            inputs: digests of all that the run reads, which are part of its identity.
            facts: of the processes that compute, such as how many there are.
        """
        used = used_sources(config.sources)
        found: dict[Mark, Values] = {"identity": {}, "numerics": {}, "operation": {}}
        for key, mark, value in values(replace(config, sources=used)):
            found[mark][key] = value
        # samples are drawn by the sources' order
        found["identity"] |= {"sources": [source.name for source in used]} | inputs
        found["numerics"] |= facts
        return cls(identity=found["identity"], numerics=found["numerics"], operation=found["operation"])

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides the run's results, its parent included."""
        parent = self.parent and {"run": self.parent.run, "step": self.parent.step}
        text = json.dumps({"identity": self.identity, "parent": parent}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> Values:
        """For checkpoints, exports and `run.json`."""
        return {"fingerprint": self.fingerprint, **asdict(self)}

    @classmethod
    def from_json(cls, tree: Values) -> Self:
        """Of `to_json`; KeyError or TypeError for anything else."""
        parent = Parent(**tree["parent"]) if tree["parent"] else None
        return cls(**{name: tree[name] for name in ("identity", "numerics", "operation")}, parent=parent)

    def differences(self, other: "RunRecord", mark: Mark) -> list[str]:
        """Keys of a mark whose values differ, as `optim.lr: 0.0001, was 2e-05` where `other` is the earlier one."""
        ours: Values = getattr(self, mark)
        theirs: Values = getattr(other, mark)
        return [
            f"{key}: {_told(ours, key)}, was {_told(theirs, key)}"
            for key in [*ours, *(key for key in theirs if key not in ours)]
            if _told(ours, key) != _told(theirs, key)
        ]

    def other_run(self, other: "RunRecord") -> list[str]:
        """What makes this another run than `other`; nothing where it may go on from its checkpoints."""
        found = self.differences(other, "identity")
        if self._origin != other._origin:
            found.append(f"--fork: {self._origin}, was {other._origin}")
        return found

    @property
    def _origin(self) -> str:
        return f"step {self.parent.step} of run {self.parent.run[:12]}" if self.parent else "none"


def _told(known: Values, key: str) -> str:
    return json.dumps(known[key], ensure_ascii=False) if key in known else "absent"
