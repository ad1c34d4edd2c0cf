"""Settings of publish: shards, splits and near-duplicates."""

from __future__ import annotations

from pydantic import Field

from tasks.records.settings_base import Settings


class PublishSettings(Settings):
    """How samples become a release."""

    samples_per_shard: int = Field(
        default=16, gt=0, description="equal within a split, the last one may be short"
    )
    validation_share: float = Field(
        default=0.1, ge=0, lt=1, description="share of photographs, by hash of the sid"
    )
    near_duplicate_bits: int = Field(
        default=6, ge=0, le=64, description="fingerprint distance that joins photographs"
    )
    gallery_samples: int = Field(
        default=100, ge=0, description="accepted ones of each edit type in its gallery"
    )
    gallery_rejected: int = Field(
        default=100, ge=0, description="refused ones of each stage and reason in its gallery"
    )
