"""``index.parquet``: one row per sample, with its location in the shards and columns to filter by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from tasks.publishing.shard_format import SampleMeta
from tasks.records.outcomes import BlobRef
from tasks.records.schema import write_parquet

MEMBER = pa.struct(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)

INDEX_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("members", pa.list_(pa.field("element", MEMBER, nullable=False)), nullable=False),
        pa.field("edit_type", pa.string(), nullable=False),
        pa.field("instruction", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("argument", pa.string(), nullable=False),
        pa.field("region_edit_accuracy", pa.float64(), nullable=False),
        pa.field("seamless_quality", pa.float64(), nullable=False),
        pa.field("sid", pa.string(), nullable=False),
        pa.field("source_location", pa.string(), nullable=False),
        pa.field("license", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
    ],
)
"""``members``: name, byte range in the shard [offset, offset + size), and SHA-256 of each member's content."""


def index_row(meta: SampleMeta, members: Mapping[str, BlobRef], shard: str) -> dict[str, object]:
    """The index row of one sample, by column name; ``members`` has the location of each member in the shard."""
    scores = {score.name: score.value for score in meta.scores}
    return {
        "key": meta.key,
        "split": meta.split,
        "shard": shard,
        "members": [
            {"name": name, "offset": ref.offset, "size": ref.length, "sha256": ref.sha256}
            for name, ref in sorted(members.items())
        ],
        "edit_type": meta.edit_type.value,
        "instruction": meta.instruction,
        "label": meta.target.label,
        "argument": meta.argument,
        "region_edit_accuracy": scores["region_edit_accuracy"],
        "seamless_quality": scores["seamless_quality"],
        "sid": meta.sid,
        "source_location": meta.source.location,
        "license": meta.license,
        "width": meta.source.width,
        "height": meta.source.height,
    }


def index_bytes(rows: Sequence[dict[str, object]]) -> bytes:
    """The table as Parquet, in the given order; equal rows give equal bytes under one pyarrow version."""
    return write_parquet(pa.Table.from_pylist(list(rows), schema=INDEX_SCHEMA))
