"""Drawn pictures in every form that a camera, a program or an attacker may give them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tasks.records.outcomes import Outcome, SourceEntry, StageInput
from tasks.sources.listing import list_sources
from tasks.sources.reading import SourceReader
from tasks.sources.settings import IngestSettings, SourceSettings
from tasks.stages.ingest.stage import ingest as ingest_photograph
from tests.tasks.stages.answering import answered

ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))


def draw(width: int = 320, height: int = 288) -> np.ndarray:
    """(H, W, 3) uint8: smooth colors, a few blocks and mild noise, no symmetry."""
    y, x = np.mgrid[0:height, 0:width]
    picture = np.stack([x * 200 // width + 20, y * 180 // height + 40, (x + 2 * y) % 160 + 30], axis=-1)
    picture[20:90, 30:120] = (200, 30, 40)
    picture[150:220, 180:300] = (20, 160, 60)
    noise = np.random.default_rng(7).integers(-6, 7, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def save(picture: np.ndarray | Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """Encoded by Pillow."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 90} if kind == "JPEG" else {}) | options)
    return buffer.getvalue()


def icc_profile(primaries: tuple[tuple[float, ...], ...], gamma: float) -> bytes:
    """A matrix profile: three primaries (XYZ, D50) and one gamma."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(values: tuple[float, ...]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"text\0\0\0\0own\0"
    tags = {b"cprt": text, b"wtpt": xyz((0.9642, 1.0, 0.8249))}
    tags |= {name + b"XYZ": xyz(p) for name, p in zip((b"r", b"g", b"b"), primaries, strict=True)}
    tags |= {name + b"TRC": curve for name in (b"r", b"g", b"b")}
    return _assemble(b"RGB ", b"XYZ ", b"mntr", tags)


def cmyk_profile() -> bytes:
    """A CMYK profile that paints everything in one of two grays: light without black ink, dark with."""
    ramp = bytes(range(256))
    nodes = b"".join(bytes((30 if k else 220, 128, 128)) for _ in range(8) for k in (0, 1))
    identity = b"".join(struct.pack(">i", 65536 if i in (0, 4, 8) else 0) for i in range(9))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + ramp * 4 + nodes + ramp * 3
    tags = {
        b"cprt": b"text\0\0\0\0own\0",
        b"A2B0": table,
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">iii", 63190, 65536, 54061),
    }
    return _assemble(b"CMYK", b"Lab ", b"prtr", tags)


def _assemble(space: bytes, pcs: bytes, device: bytes, tags: dict[bytes, bytes]) -> bytes:
    directory, body, offset = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        padded = data + b"\0" * (-len(data) % 4)
        directory += name + struct.pack(">II", offset + len(body), len(data))
        body += padded
    size = offset + len(body)
    header = struct.pack(">I4sI", size, b"\0\0\0\0", 0x02400000) + device + space + pcs
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28
    header += struct.pack(">iii", 63190, 65536, 54061)
    return header + b"\0" * (128 - len(header)) + struct.pack(">I", len(tags)) + directory + body


def segment(marker: int, payload: bytes) -> bytes:
    """One JPEG segment."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """The JPEG with segments inserted after its start marker."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def exif(orientation: int = 1, **tags: object) -> bytes:
    """An EXIF block with that orientation."""
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One PNG chunk with its checksum."""
    stream = io.BytesIO()
    PngImagePlugin.putchunk(stream, kind, data)
    return stream.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that claims 60000 x 60000 pixels."""
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"x") + png_chunk(b"IEND", b"")
    )


class Pictures:
    """The functions above, for tests (test folders are not packages)."""

    Image, ADOBE_RGB, DISPLAY_P3 = Image, ADOBE_RGB, DISPLAY_P3
    draw, save, icc_profile, cmyk_profile = map(staticmethod, (draw, save, icc_profile, cmyk_profile))
    segment, with_segments, exif = map(staticmethod, (segment, with_segments, exif))
    png_chunk, bomb = map(staticmethod, (png_chunk, bomb))


@pytest.fixture
def pictures() -> type[Pictures]:
    """Ways to make pictures."""
    return Pictures


@pytest.fixture
def ingest() -> Callable[..., dict[str, Outcome]]:
    """Lists sources and ingests them: outcomes by location."""

    def run(*sources: SourceSettings, **limits: int) -> dict[str, Outcome]:
        entries: list[SourceEntry] = list_sources(sources).entries
        inputs = [StageInput(id=entry.location, record=entry, blobs={}) for entry in entries]
        stage = partial(ingest_photograph, reader=SourceReader(sources), settings=IngestSettings(**limits))
        outcomes = answered(stage, inputs, None)
        assert [outcome.input_id for outcome in outcomes] == [entry.location for entry in entries]
        return {outcome.input_id: outcome for outcome in outcomes}

    return run
