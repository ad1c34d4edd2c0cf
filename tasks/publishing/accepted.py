"""A finished sample as used by the index, the card and the gallery: its JSON, and where its pictures are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.publishing.describe_sample import describe_sample
from tasks.publishing.release_context import SampleContext
from tasks.publishing.sample_libraries import Libraries
from tasks.publishing.shard_format import SampleMeta
from tasks.publishing.splits import split_of
from tasks.records.errors import DataFault
from tasks.records.outcomes import BlobRef
from tasks.records.records import EditedSample
from tasks.storage.protocol.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A finished sample and its blobs by name."""

    meta: SampleMeta
    blobs: Mapping[str, BlobRef]


def accepted_of(row: Row, context: SampleContext, validation_share: float, libraries: Libraries) -> Accepted:
    """The sample of a kept child's row.

    Raises:
        DataFault: the row does not hold a finished sample.
    """
    sample = row.decoded()
    if not isinstance(sample, EditedSample):
        raise DataFault(f"{row.id}: expected a finished sample, its row holds a {type(sample).__name__}")
    split = split_of(context.seed, sample.plan.target.scene.source.sid, validation_share)
    return Accepted(meta=describe_sample(sample, split, context, libraries), blobs=row.blobs)
