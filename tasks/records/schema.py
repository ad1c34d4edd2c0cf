"""The explicit Parquet schemas of the store: rows of a unit, decisions of a stage's end."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.records import version_1
from tasks.records.errors import DataFault

BLOB = pa.struct(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("length", pa.int64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)

MEASUREMENT = pa.struct(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("low", pa.list_(pa.field("element", pa.float64(), nullable=False)), nullable=False),
        pa.field("high", pa.list_(pa.field("element", pa.float64(), nullable=False)), nullable=False),
        pa.field("decides", pa.bool_(), nullable=False),
        pa.field("note", pa.string(), nullable=False),
    ]
)
"""``low`` and ``high`` hold one number or none."""

ROWS_1 = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("parent", pa.string(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("edit_type", pa.string(), nullable=False),
        pa.field("digest", pa.string(), nullable=False),
        pa.field("record", pa.string(), nullable=False),
        pa.field("blobs", pa.list_(pa.field("element", BLOB, nullable=False)), nullable=False),
    ]
)
"""Columns written by schema version 1."""

ROWS = pa.schema(
    [
        *ROWS_1,
        pa.field("measured", pa.list_(pa.field("element", MEASUREMENT, nullable=False)), nullable=False),
        pa.field("answers", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False),
        pa.field("schema_version", pa.int32(), nullable=False),
    ]
)
"""One row per input (``kind`` "input") and per child ("child", ``parent`` = its input); no nulls, "" for none."""

DECISIONS = pa.schema(
    [
        pa.field("parent", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)
"""Children kept by their unit and rejected at the stage's end (``duplicate``)."""


def write_parquet(table: pa.Table) -> bytes:
    """The table as Parquet; equal tables give equal bytes under one pyarrow version."""
    sink = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata(None),
        sink,
        compression="zstd",
        compression_level=3,
        version="2.6",
        store_schema=False,
        write_page_checksum=True,
    )
    return sink.getvalue()


def read_rows_table(data: bytes, path: str, columns: list[str] | None = None) -> pa.Table:
    """A table with the columns of `ROWS`, or some of them, from this or an earlier version.

    Rows of version 1 keep their text (`tasks.storage.protocol.rows.row_from` converts it), except for the reasons.

    Raises:
        DataFault: naming ``path``, if the bytes are not such a table.
    """
    names = columns or ROWS.names
    try:
        present = pq.read_schema(io.BytesIO(data)).names
    except (pa.ArrowException, ValueError, OSError) as error:
        raise DataFault(f"{path}: not a table of the expected shape ({type(error).__name__})") from error
    if "schema_version" in present:
        return read_parquet(data, ROWS, path, names)
    table = read_parquet(data, ROWS_1, path, [name for name in names if name in ROWS_1.names])
    if "reason" in names:
        reasons = [version_1.reason_of(code) for code in table["reason"].to_pylist()]
        table = table.set_column(table.column_names.index("reason"), ROWS.field("reason"), [reasons])
    defaults: dict[str, list[object]] = {
        "measured": [[]] * len(table),
        "answers": [[]] * len(table),
        "schema_version": [version_1.VERSION] * len(table),
    }
    for name in names:
        if name in defaults:
            column = pa.array(defaults[name], ROWS.field(name).type)
            table = table.append_column(ROWS.field(name), column)
    return table.select(names)


def read_parquet(data: bytes, schema: pa.Schema, path: str, columns: list[str] | None = None) -> pa.Table:
    """A table with that schema, or some of its columns.

    Raises:
        DataFault: naming ``path``, if the bytes are not such a table.
    """
    try:
        # Not `read_table`, which imports pandas.
        table = pq.ParquetFile(io.BytesIO(data)).read(columns=columns, use_threads=False)
        selected = schema if columns is None else pa.schema([schema.field(name) for name in columns])
        return table.select(selected.names).cast(selected)
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        msg = f"{path}: not a table of the expected shape ({type(error).__name__})"
        raise DataFault(msg) from error
