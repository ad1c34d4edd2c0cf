"""Loads a unit's inputs from the row files of the stage before."""

from __future__ import annotations

import threading
from collections import OrderedDict

import pyarrow as pa
import pyarrow.compute as pc

from tasks.records.canonical import sha256_hex
from tasks.records.errors import DataFault
from tasks.records.outcomes import StageInput
from tasks.records.schema import read_rows_table
from tasks.storage.objects.store import Store
from tasks.storage.protocol.rows import CHILD, row_from
from tasks.storage.protocol.units import Unit

KEPT_TABLES = 16
"""Row files held in memory: neighboring units read the same ones."""


class InputLoader:
    """Reads inputs; safe for the worker's thread and the one that reads ahead."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._tables: OrderedDict[str, pa.Table] = OrderedDict()

    def load(self, unit: Unit) -> list[StageInput]:
        """The unit's inputs in the order of its members.

        Raises:
            DataFault: a row file is damaged, or lacks the row.
        """
        if unit.entries:
            return [StageInput(id=entry.location, record=entry, blobs={}) for entry in unit.entries]
        found: dict[tuple[str, str], StageInput] = {}
        required = set(zip(unit.members, unit.digests, strict=True))
        ids = pa.array(unit.members, pa.string())
        for path in unit.parents:
            table = self._table(path)
            hits = pc.and_(pc.equal(table["kind"], CHILD), pc.is_in(table["id"], value_set=ids))
            for item in table.filter(hits).to_pylist():
                place = (item["id"], item["digest"])
                if place in required and item["outcome"] == "kept":
                    row = row_from(item)
                    found[place] = StageInput(id=row.id, record=row.decoded(), blobs=row.blobs)
        missing = required.difference(found)
        if missing:
            msg = f"unit {unit.id}: no row for {min(missing)[0]} in {', '.join(unit.parents)}"
            raise DataFault(msg)
        return [found[place] for place in zip(unit.members, unit.digests, strict=True)]

    def _table(self, path: str) -> pa.Table:
        with self._lock:
            table = self._tables.get(path)
            if table is None:
                table = self._read(path)
            self._tables[path] = table
            self._tables.move_to_end(path)
            while len(self._tables) > KEPT_TABLES:
                self._tables.popitem(last=False)
        return table

    def _read(self, path: str) -> pa.Table:
        data = self._store.get(path)
        # The name contains the digest of the rows, so their commit need not be read.
        if sha256_hex(data)[:12] != path.removesuffix(".parquet").rpartition("-")[2]:
            msg = f"{path}: bytes do not match the digest in the name"
            raise DataFault(msg)
        return read_rows_table(data, path)
