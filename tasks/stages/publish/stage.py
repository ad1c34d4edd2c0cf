"""Publish: each unit is a shard, and the unit's tar is that shard byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from tasks.publishing.describe_sample import describe_sample
from tasks.publishing.release_context import SampleContext, sample_context
from tasks.publishing.sample_libraries import read_extra
from tasks.publishing.settings import PublishSettings
from tasks.publishing.shard_format import MEMBERS
from tasks.publishing.splits import REFUSED, split_of
from tasks.records.errors import DataFault, Reason, SampleError
from tasks.records.outcomes import Blob, Child, Outcome, StageInput
from tasks.records.records import EditedSample
from tasks.stages.config import BuildConfig
from tasks.stages.sample_stage import SampleStage, Workbench

STEP_VERSIONS = {"describe_sample": 2, "splits": 1, "gallery": 5}
"""Increase a step's version when its code changes its results."""

PICTURES = tuple(name for name in MEMBERS if name != "json")


def build(config: BuildConfig, asks: Mapping[str, Any], digests: Mapping[str, str]) -> SampleStage:
    """Builds the stage from a configuration; it asks no role."""
    del asks
    context = sample_context(
        config.seed, digests, config.editing.min_accuracy, config.editing.min_seamlessness
    )
    return partial(publish, settings=config.publish, context=context)


async def publish(
    item: StageInput, bench: Workbench, *, settings: PublishSettings, context: SampleContext
) -> Outcome:
    """Converts one `EditedSample` to its shard members; pictures are copied, never encoded again.

    Raises:
        SampleError: ``near_duplicate_across_splits``, decided by the plan, or a damaged picture.
    """
    sample = item.record
    if not isinstance(sample, EditedSample):
        raise DataFault(f"{item.id}: publish takes EditedSample, got {type(sample).__name__}")
    refused = bench.extra.get(REFUSED + item.id)
    if refused is not None:
        raise SampleError(Reason.SPLIT_CONFLICT, refused)
    split = split_of(context.seed, sample.plan.target.scene.source.sid, settings.validation_share)
    missing = [name for name in PICTURES if name not in item.blobs]
    if missing:
        raise DataFault(f"{item.id}: lacks {missing[0]}")
    data = await asyncio.gather(*(bench.data(item.blobs[name]) for name in PICTURES))
    pictures = [Blob(name=name, data=found) for name, found in zip(PICTURES, data, strict=True)]
    libraries = read_extra(bench.extra, item.id)
    described = await bench.cpu(describe_sample, sample, split, context, libraries)
    blobs = (*pictures, Blob(name="json", data=described.to_json()))
    return Outcome(input_id=item.id, children=(Child(id=sample.plan.plan_id, record=sample, blobs=blobs),))
