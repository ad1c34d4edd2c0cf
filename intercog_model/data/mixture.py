"""An endless, resumable stream of examples from several weighted sources, the same on every rank."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from intercog_model.data.example import Example
from intercog_model.data.shards import BrokenSample, Kind, Split, list_shards, open_uri, read_shard
from intercog_model.errors import ConfigurationError
from intercog_model.settings import Identity, Operation, Settings, Weight

TAKEN = "taken"  # the key of the number of draws, among the names of sources, in a state
State = dict[str, Any]  # JSON: the number of draws, and epoch, shard and sample of each source by its name


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig(Settings):
    """One source of the mixture."""

    name: Identity[str]  # decides the order of its samples
    kind: Identity[Kind]
    uri: Operation[str]  # folder or object-store prefix
    weight: Identity[Weight] = 1.0
    split: Identity[Split] = "train"  # of a release; what training reads of the other split can't validate it

    def __post_init__(self) -> None:
        if self.split != "train" and self.kind != "grounding":
            raise ValueError(f"split: {self.split!r}, should be 'train' for the kind {self.kind!r}")
        if not self.name or self.name == TAKEN:
            raise ValueError(f"name: {self.name!r}, should be neither empty nor {TAKEN!r}")


def require_own_names(sources: Sequence[SourceConfig]) -> None:
    """Raise ConfigurationError where two sources share a name: a state tells them apart by it."""
    first = dict[str, int]()
    for number, source in enumerate(sources):
        if source.name in first:
            raise ConfigurationError(
                f"sources[{number}].name: {source.name!r}, should not be that of sources[{first[source.name]}] too"
            )
        first[source.name] = number


def used_sources(sources: Sequence[SourceConfig]) -> tuple[SourceConfig, ...]:
    """Those with a weight above 0; ConfigurationError where there is none."""
    used = tuple(source for source in sources if source.weight > 0)
    if not used:
        raise ConfigurationError(
            f"sources: {[source.name for source in sources]}, one at least should have a weight above 0"
        )
    return used


@dataclass(slots=True)
class Cursor:
    """Where a source stands: pass over its shards, shard in that pass's order, sample in the shard's."""

    epoch: int = 0
    shard: int = 0
    sample: int = 0


@dataclass(slots=True)
class _Source:
    config: SourceConfig
    shards: list[str]
    cursor: Cursor = field(default_factory=Cursor)
    loaded: tuple[int, int] = (-1, -1)  # epoch and shard that `samples` holds
    samples: list[Example | BrokenSample] = field(default_factory=list)


def _listed(source: SourceConfig) -> list[str]:
    try:
        return list_shards(source.uri, source.kind, source.split)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"uri {source.uri!r} of source {source.name!r}: {error}") from error


class Mixture:
    """Examples in an order that depends on the seed and on how many were taken, and on nothing else."""

    def __init__(self, sources: list[SourceConfig], seed: int) -> None:
        used = used_sources(sources)
        require_own_names(sources)
        self.seed = seed
        self.taken = 0
        self.sources = [_Source(config=s, shards=_listed(s)) for s in used]
        self.broken: Counter[str] = Counter()  # sample key -> times it was met
        self.reasons: dict[str, str] = {}  # of the same keys

    def take(self) -> Example:
        """The next readable example; raises ConfigurationError when a whole pass of a source holds none."""
        source = self._draw()
        first_epoch = source.cursor.epoch
        while True:
            item = self._next(source)
            if not isinstance(item, BrokenSample):
                return item
            self.leave_out(item.key, item.reason)
            if source.cursor.epoch > first_epoch + 1:
                raise ConfigurationError(f"source {source.config.name}: no readable sample, last: {item}")

    def leave_out(self, key: str, reason: str) -> None:
        """Count a sample as broken: one that could not be read, or of which nothing can be made."""
        self.broken[key] += 1
        self.reasons[key] = reason

    def _draw(self) -> _Source:
        number = hashlib.sha256(f"{self.seed}/mixture/{self.taken}".encode()).digest()
        self.taken += 1
        share = int.from_bytes(number[:8], "big") / 2**64 * sum(s.config.weight for s in self.sources)
        for source in self.sources:
            share -= source.config.weight
            if share < 0:
                return source
        return self.sources[-1]

    def _next(self, source: _Source) -> Example | BrokenSample:
        cursor = source.cursor
        for _ in range(len(source.shards) + 1):
            order = self._order(f"{source.config.name}/{cursor.epoch}", len(source.shards))
            if source.loaded != (cursor.epoch, cursor.shard):
                uri = source.shards[order[cursor.shard]]
                with open_uri(uri) as stream:
                    source.samples = list(read_shard(stream, source.config.kind, uri))
                source.loaded = (cursor.epoch, cursor.shard)
            if cursor.sample < len(source.samples):
                name = f"{source.config.name}/{cursor.epoch}/{cursor.shard}"
                item = source.samples[self._order(name, len(source.samples))[cursor.sample]]
                cursor.sample += 1
                return item
            cursor.sample, cursor.shard = 0, cursor.shard + 1
            if cursor.shard == len(source.shards):
                cursor.shard, cursor.epoch = 0, cursor.epoch + 1
        raise ConfigurationError(f"source {source.config.name}: its shards hold no samples")

    def _order(self, name: str, count: int) -> list[int]:
        digest = hashlib.sha256(f"{self.seed}/order/{name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        return torch.randperm(count, generator=generator).tolist()

    def state(self) -> State:
        """Position of every source and the number of draws, for a checkpoint."""
        cursors = {s.config.name: [s.cursor.epoch, s.cursor.shard, s.cursor.sample] for s in self.sources}
        return {TAKEN: self.taken, **cursors}

    def require_sources_of(self, state: State) -> None:
        """Raise ConfigurationError unless the sources are those that `state` was taken of."""
        ours, theirs = {s.config.name for s in self.sources}, state.keys() - {TAKEN}
        if ours != theirs:
            parts = [f"{sorted(ours - theirs)} new"] if ours - theirs else []
            parts += [f"{sorted(theirs - ours)} missing"] if theirs - ours else []
            raise ConfigurationError(
                f"sources {sorted(ours)} are not those of the checkpoint: {', '.join(parts)}"
            )
        for source in self.sources:
            _, shard, _ = state[source.config.name]
            if shard >= len(source.shards):
                raise ConfigurationError(
                    f"uri {source.config.uri!r} of source {source.config.name!r}: {len(source.shards)} shards, "
                    f"fewer than when the checkpoint was written"
                )

    def restore(self, state: State) -> None:
        """Go on where `state` was taken; raises what `require_sources_of` raises."""
        self.require_sources_of(state)
        self.taken = state[TAKEN]
        for source in self.sources:
            source.cursor = Cursor(*state[source.config.name])
            source.loaded = (-1, -1)
