"""Settings of ingest: where photographs come from and what is refused at the door."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.records.settings_base import Settings


class SourceSettings(Settings):
    """One place photographs come from."""

    uri: str = Field(description="folder, tar, Parquet/CSV list, or object-store prefix")
    name: str = Field(default="", description="first part of locations; default: last part of the uri")
    kind: Literal["auto", "folder", "tar", "sa1b", "list"] = Field(default="auto")
    license: str = Field(default="", description="license of the photographs; empty: unstated")


class IngestSettings(Settings):
    """Limits at the door; all are about the original file."""

    max_bytes: int = Field(default=50_000_000, gt=0, description="bytes of one original")
    max_pixels: int = Field(
        default=50_000_000, gt=0, description="width times height, checked before decoding"
    )
    min_side_px: int = Field(default=256, gt=0, description="a shorter side below this holds no scene")
    max_aspect: float = Field(default=4.0, ge=1, description="long side over short side")
    jpeg_quality: int = Field(
        default=95, ge=1, le=100, description="when a working source must be encoded (4:4:4)"
    )
    unit_size: int = Field(default=8, gt=0, description="inputs a unit; not part of the stage's digest")
