"""Settings of publish: shards, splits, near-duplicates and the release's gallery."""

from __future__ import annotations

from pydantic import Field

from tasks.records.settings_base import Settings


class PublishSettings(Settings):
    """How samples become a release."""

    samples_per_shard: int = Field(
        default=16, gt=0, description="samples per shard; the last shard of a split may have fewer"
    )
    validation_share: float = Field(
        default=0.1, ge=0, lt=1, description="share of photographs in validation, by hash of the sid"
    )
    near_duplicate_bits: int = Field(
        default=6, ge=0, le=64, description="maximum fingerprint distance in bits of near-duplicates"
    )
    gallery_samples: int = Field(
        default=100, ge=0, description="accepted samples per edit type in the release's gallery"
    )
    gallery_rejected: int = Field(
        default=100, ge=0, description="rejected samples per stage and reason in the release's gallery"
    )
