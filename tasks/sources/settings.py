"""Settings of ingest: the sources, and limits for the originals."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.records.settings_base import Settings


class SourceSettings(Settings):
    """One source of photographs."""

    uri: str = Field(description="folder, tar, Parquet/CSV list, or object-store prefix")
    name: str = Field(default="", description="first part of locations; default: last part of the URI")
    kind: Literal["auto", "folder", "tar", "sa1b", "list"] = Field(default="auto")
    license: str = Field(default="", description="license of the photographs; empty: not stated")


class IngestSettings(Settings):
    """Limits for ingest; all apply to the original file."""

    max_bytes: int = Field(default=50_000_000, gt=0, description="maximum bytes of an original")
    max_pixels: int = Field(
        default=50_000_000, gt=0, description="maximum width times height, checked before decoding"
    )
    min_side_px: int = Field(default=256, gt=0, description="minimum shorter side, in pixels")
    max_aspect: float = Field(default=4.0, ge=1, description="maximum ratio of long side to short side")
    jpeg_quality: int = Field(
        default=95, ge=1, le=100, description="JPEG quality of working sources that must be encoded (4:4:4)"
    )
    unit_size: int = Field(default=8, gt=0, description="inputs per unit; not part of the stage's digest")
