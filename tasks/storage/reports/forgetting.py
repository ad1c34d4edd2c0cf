"""Counts kept answers, and sets answers aside, with the units that depend on them, so that they are asked again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from tasks.records.canonical import sha256_hex
from tasks.records.errors import DataFault
from tasks.records.schema import read_rows_table
from tasks.storage.objects.store import Store
from tasks.storage.protocol.answer_files import KEY_DIGITS, answer_from
from tasks.storage.protocol.commits import commit_from
from tasks.storage.protocol.layout import STAGES, StageKey
from tasks.storage.protocol.written import written
from tasks.storage.reports.answers_audit import answers_below
from tasks.storage.reports.repairing import set_aside


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class AnswerCount:
    """Number of kept answers of one role, kind and round."""

    role: str
    kind: str
    round: int
    answers: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was set aside.

    Attributes:
        answers: paths of the answers.
        units: (stage, unit) of the units whose rows refer to one of them.
        moved: all paths, including dependent stage ends and releases; now below ``aside/``.
    """

    answers: tuple[str, ...] = ()
    units: tuple[tuple[StageKey, str], ...] = ()
    moved: tuple[str, ...] = ()


def count_answers(store: Store, role: str = "") -> list[AnswerCount]:
    """Kept answers of one role or all, by role, kind and round; every answer is read to know its kind.

    Raises:
        DataFault: an answer is damaged.
    """
    counts: dict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0, 0])
    for name, item in answers_below(store):
        if role in ("", name.role) and (data := store.find(item.path)) is not None:
            count = counts[name.role, answer_from(data, item.path).kind.value, name.round]
            count[0] += 1
            count[1] += item.size
    return sorted(
        AnswerCount(role=role, kind=kind, round=round_, answers=answers, bytes=size)
        for (role, kind, round_), (answers, size) in counts.items()
    )


def forget(
    store: Store, *, role: str, since: datetime | None = None, server: str = "", key: str = ""
) -> Forgotten:
    """Sets a role's answers aside, and all units whose rows refer to them; the next build asks again.

    Nothing is deleted: moved objects keep their old paths below ``aside/``.

    Args:
        store: of the dataset.
        role: whose answers.
        since: only those stored at this time or later.
        server: only those of the pool or server with this name in the configuration.
        key: only those whose key starts with these hex digits.

    Raises:
        DataFault: an answer, commit or row file is damaged; nothing was moved.
    """
    paths: list[str] = []
    keys: set[str] = set()
    for name, item in answers_below(store):
        if name.role != role or not name.key24.startswith(key[:KEY_DIGITS]):
            continue
        if since is not None or server or len(key) > KEY_DIGITS:
            data = store.find(item.path)
            if data is None:
                continue
            file = answer_from(data, item.path)
            early = since is not None and file.asked.at < since
            if early or (server and file.asked.run != server) or not file.key.startswith(key):
                continue
        paths.append(item.path)
        keys.add(name.key24)
    if not paths:
        return Forgotten()
    units = units_naming(store, keys)
    return Forgotten(
        answers=tuple(paths),
        units=tuple(sorted(units, key=lambda place: (place[0].folder, place[1]))),
        moved=set_aside(store, paths, units),
    )


def units_naming(store: Store, keys: set[str]) -> set[tuple[StageKey, str]]:
    """Units with a row that depends on one of these answers, by the first `KEY_DIGITS` digits of their keys."""
    found = set()
    for item in written(store, STAGES):
        if "/commits/" in item.path:
            commit = commit_from(store.get(item.path), item.path)
            data = store.get(commit.rows.path)
            if sha256_hex(data) != commit.rows.sha256:
                msg = f"{commit.rows.path}: bytes do not match the digest in {commit.path}"
                raise DataFault(msg)
            lists = read_rows_table(data, commit.rows.path, ["answers"])["answers"].to_pylist()
            if any(key[:KEY_DIGITS] in keys for named in lists for key in named):
                found.add((commit.key, commit.unit))
    return found
