"""The explicit Parquet schemas of the store: rows of a unit, decisions of a stage's end."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq

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

ROWS = pa.schema(
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
"""One row an input (``kind`` "input") and one a child ("child", ``parent`` = its input); no nulls, "" for none."""

DECISIONS = pa.schema(
    [
        pa.field("parent", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)
"""Children that were kept by their unit and refused at the stage's end (``duplicate``)."""


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


def read_parquet(data: bytes, schema: pa.Schema, path: str, columns: list[str] | None = None) -> pa.Table:
    """A table of that schema, or some of its columns.

    Raises:
        DataFault: naming ``path``, when the bytes are no such table.
    """
    try:
        table = pq.read_table(io.BytesIO(data), columns=columns, use_threads=False)
        wanted = schema if columns is None else pa.schema([schema.field(name) for name in columns])
        return table.select(wanted.names).cast(wanted)
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        msg = f"{path}: no table of the expected shape ({type(error).__name__})"
        raise DataFault(msg) from error
