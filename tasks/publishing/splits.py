"""Assigns each sample to a split and shard; depends on ids and settings, not on the order of inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.publishing.settings import PublishSettings
from tasks.publishing.shard_format import SPLITS
from tasks.records.seeds import unit_interval

TRAIN, VALIDATION = SPLITS

REFUSED = "refused:"
"""Prefix of a sample's key in a unit's ``extra``: the sample is left out, for the reason given as value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRef:
    """What planning needs to know about a sample: key, photograph and its fingerprint (16 hex digits)."""

    key: str
    sid: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardLayout:
    """The ordered members of one shard."""

    split: str
    number: int
    keys: tuple[str, ...]

    @property
    def file_name(self) -> str:
        """``train-000017.tar``."""
        return f"{self.split}-{self.number:06d}.tar"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseLayout:
    """All shards in order, and the samples left out because a near-duplicate is in the other split.

    Attributes:
        conflicts: (key, detail), sorted by key; the detail names a similar photograph.
    """

    shards: tuple[ShardLayout, ...]
    conflicts: tuple[tuple[str, str], ...]


def split_of(seed: int, sid: str, validation_share: float) -> str:
    """The split of a photograph, from (build seed, sid) alone: further inputs never move a sample."""
    return VALIDATION if unit_interval(seed, sid, "split") < validation_share else TRAIN


def assign_shards(samples: Iterable[SampleRef], settings: PublishSettings, seed: int) -> ReleaseLayout:
    """Assigns splits, leaves out conflicts, orders by hash(seed, key), and cuts shards of equal sample count.

    Near-duplicate photographs stay in one split: where a group's hashes fall into both, its members of the validation
    split are left out rather than moved, so that a sample's split never changes.
    """
    refs = sorted(samples, key=lambda ref: ref.key)
    fingerprints = {ref.sid: ref.fingerprint for ref in refs}
    splits = {sid: split_of(seed, sid, settings.validation_share) for sid in fingerprints}
    groups = near_duplicate_groups(fingerprints, settings.near_duplicate_bits)
    twin_in_train: dict[str, str] = {}
    for group in groups:
        in_train = [sid for sid in group if splits[sid] == TRAIN]
        if in_train:
            twin_in_train.update({sid: in_train[0] for sid in group if splits[sid] == VALIDATION})
    conflicts = tuple(
        (ref.key, f"photograph resembles {twin_in_train[ref.sid]} of the train split")
        for ref in refs
        if ref.sid in twin_in_train
    )
    kept = [ref for ref in refs if ref.sid not in twin_in_train]
    shards: list[ShardLayout] = []
    for split in SPLITS:
        members = sorted((r.key for r in kept if splits[r.sid] == split), key=lambda k: _order(seed, k))
        shards += _cut(split, members, settings.samples_per_shard)
    return ReleaseLayout(shards=tuple(shards), conflicts=conflicts)


def near_duplicate_groups(fingerprints: Mapping[str, str], max_bits: int) -> list[tuple[str, ...]]:
    """Groups of two or more photographs connected (transitively) by fingerprints at most ``max_bits`` apart.

    ``fingerprints`` maps sid -> 64-bit fingerprint as 16 hex digits.

    Returns:
        Sorted groups of sorted sids.
    """
    sids = sorted(fingerprints)
    codes = np.array([int(fingerprints[sid], 16) for sid in sids], dtype=np.uint64)
    parents = list(range(len(sids)))
    for i in range(len(sids) - 1):
        # One vectorized row per photograph: 45,000 of them take seconds, without an index structure.
        near = np.flatnonzero(np.bitwise_count(codes[i + 1 :] ^ codes[i]) <= max_bits)
        for j in near:
            _join(parents, i, i + 1 + int(j))
    groups: dict[int, list[str]] = {}
    for i, sid in enumerate(sids):
        groups.setdefault(_root(parents, i), []).append(sid)
    return sorted(tuple(group) for group in groups.values() if len(group) > 1)


def _join(parents: list[int], a: int, b: int) -> None:
    low, high = sorted((_root(parents, a), _root(parents, b)))
    parents[high] = low


def _root(parents: list[int], i: int) -> int:
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i


def _order(seed: int, key: str) -> tuple[bytes, str]:
    return hashlib.sha256(f"{seed}\x00{key}\x00order".encode()).digest(), key


def _cut(split: str, keys: Sequence[str], size: int) -> list[ShardLayout]:
    return [
        ShardLayout(split=split, number=number, keys=tuple(keys[start : start + size]))
        for number, start in enumerate(range(0, len(keys), size))
    ]
