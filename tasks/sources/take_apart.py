"""Takes a picture's file apart by its format, so that no decoder ever sees metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tasks.sources.avif_boxes import read_avif
from tasks.sources.bmp_header import read_bmp
from tasks.sources.gif_blocks import read_gif
from tasks.sources.jp2_boxes import read_jpeg2000
from tasks.sources.jpeg_segments import read_jpeg
from tasks.sources.parts import PictureParts
from tasks.sources.png_chunks import read_png
from tasks.sources.tiff_pages import read_tiff
from tasks.sources.webp_chunks import read_webp

_READERS: Mapping[str, Callable[[bytes], PictureParts]] = {
    "JPEG": read_jpeg,
    "PNG": read_png,
    "WEBP": read_webp,
    "GIF": read_gif,
    "TIFF": read_tiff,
    "AVIF": read_avif,
    "JPEG2000": read_jpeg2000,
    "BMP": read_bmp,
}


def take_apart(data: bytes, kind: str) -> PictureParts:
    """The parts of a file of one of the readable formats; a portable map holds no metadata and stays whole.

    Raises:
        SampleError: the picture itself is damaged, or states colors that are not converted here.
    """
    reader = _READERS.get(kind)
    return reader(data) if reader else PictureParts(data=data, format=kind)
