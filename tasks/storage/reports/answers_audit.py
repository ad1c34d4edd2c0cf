"""The part of `verify` that checks kept answers: folder by folder, since there may be millions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from tasks.records.errors import DataFault
from tasks.storage.objects.infos import ObjectInfo
from tasks.storage.objects.read_many import find_many
from tasks.storage.objects.store import Store
from tasks.storage.protocol.answer_files import AnswerName, answer_from, answer_name
from tasks.storage.protocol.layout import ANSWERS, StageKey


@dataclass(slots=True, kw_only=True)
class AnswerFaults:
    """Results of checking the answers.

    Attributes:
        faults: path -> what is wrong with it.
        strangers: objects that are not answers.
        checked: number of answers checked; ``bytes`` of those read in full.
    """

    faults: dict[str, str] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    checked: int = 0
    bytes: int = 0


@dataclass(slots=True)
class _Reference:
    """The end of the furthest range that rows refer to, the row, and the units."""

    end: int
    by: str
    units: set[tuple[StageKey, str]]


class AnswersAudit:
    """Collects which answers hold blobs of units, then checks all answers."""

    def __init__(self) -> None:
        self._references: dict[str, _Reference] = {}

    def refer(self, path: str, end: int, by: str, unit: tuple[StageKey, str]) -> None:
        """Records that a unit's row needs the bytes of an answer up to ``end``."""
        known = self._references.setdefault(path, _Reference(end, by, set()))
        known.units.add(unit)
        if end > known.end:
            known.end, known.by = end, by

    def resting_on(self, path: str) -> set[tuple[StageKey, str]]:
        """Units that refer to an answer."""
        known = self._references.get(path)
        return set() if known is None else known.units

    def walk(self, store: Store, *, deep: bool) -> AnswerFaults:
        """Checks names and referenced ranges; with ``deep`` every byte."""
        found = AnswerFaults()
        awaited: dict[str, dict[str, _Reference]] = defaultdict(dict)
        for path, reference in self._references.items():
            awaited[path.rpartition("/")[0].rpartition("/")[0]][path] = reference
        beside, folders = store.top(ANSWERS)
        found.strangers += sorted(item.path for item in beside)
        for folder in sorted({*folders, *awaited}):
            infos = {item.path: item for item in store.list(folder)}
            answers = sorted(path for path in infos if answer_name(path) is not None)
            found.checked += len(answers)
            found.strangers += sorted(infos.keys() - set(answers))
            for path, reference in awaited[folder].items():
                if path not in infos:
                    found.faults[path] = f"is missing; named by {reference.by}"
                elif infos[path].size < reference.end:
                    found.faults[path] = f"ends before what {reference.by} names"
            if deep:
                _read(store, answers, found)
        return found


def answers_below(store: Store) -> Iterator[tuple[AnswerName, ObjectInfo]]:
    """All kept answers, folder by folder; only one folder's names are in memory."""
    for folder in store.folders(ANSWERS):
        for item in sorted(store.list(folder), key=lambda item: item.path):
            name = answer_name(item.path)
            if name is not None:
                yield name, item


def _read(store: Store, paths: list[str], found: AnswerFaults) -> None:
    for path, data in zip(paths, find_many(store, paths), strict=True):
        if data is None:
            continue  # removed since it was listed
        found.bytes += len(data)
        try:
            answer_from(data, path)
        except DataFault as fault:
            found.faults.setdefault(path, str(fault).removeprefix(f"{path}: "))
