"""Recognizes formats by their first bytes and by file suffix, and files that were cut short."""

from __future__ import annotations

import re

DECODED = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF", "JPEG2000")
"""Pillow formats that are read. Formats that run programs (EPS) or hold no photographs are left out."""

PICTURE_SUFFIXES = frozenset(
    "jpg jpeg jpe jfif mpo png apng webp gif tif tiff bmp dib ppm pgm pbm pnm avif jp2 j2k "  # noqa: SIM905
    "heic heif jxl psd raw dng cr2 cr3 nef arw orf rw2 raf".split()
)
"""Lower-case suffixes of image files, readable or not."""

HEAD_BYTES = 32
"""Bytes that `sniff` needs."""

_READABLE_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"BM", "BMP"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)
_OTHER_MAGIC = (
    (b"8BPS", "PSD"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"%!PS-Adobe", "EPS"),
    (b"%PDF-", "PDF"),
    (b"<svg", "SVG"),
    (b"IIU\x00", "RAW"),
    (b"FUJIFILMCCD-RAW", "RAW"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"II+\x00", "BigTIFF"),
    (b"MM\x00+", "BigTIFF"),
)
_ISO_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"crx ": "RAW"}
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"))
_GENERAL_BRANDS = (b"mif1", b"msf1", b"miaf")
_MAX_POINTER_BYTES = 1024 * 32
_ANNEX = re.compile(rb"/annex/objects/\S")
_PORTABLE_MAP = re.compile(rb"P[1-6]\s")


def sniff(head: bytes) -> str:
    """Name of the picture format that starts with ``head`` (the first bytes of a file), ``""`` if none."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        # The general brands say nothing about the coding; the compatible ones behind it do.
        if brand in _GENERAL_BRANDS and b"avif" in _compatible_brands(head):
            return "AVIF"
        return "HEIC" if brand in _HEIF_BRANDS else _ISO_BRANDS.get(brand, "")
    if head[:4] == b"II*\x00" and head[8:10] == b"CR":
        return "RAW"  # Canon's CR2 begins with a preview
    for magic, name in _READABLE_MAGIC + _OTHER_MAGIC:
        if head.startswith(magic):
            return name
    return "PPM" if _PORTABLE_MAP.match(head) else ""


def _compatible_brands(head: bytes) -> list[bytes]:
    end = min(len(head), int.from_bytes(head[:4], "big"))
    return [head[start : start + 4] for start in range(16, end - 3, 4)]


def pointer_in(data: bytes) -> str:
    """What a pointer file stands for and how to get the file itself, ``""`` if the data is no such pointer.

    Git LFS and git-annex check small texts out in the place of files whose contents were not fetched.
    """
    if data.startswith(b"version https://git-lfs.github.com/spec/") and len(data) <= _MAX_POINTER_BYTES:
        return "a pointer of Git LFS; `git lfs pull` fetches the file itself"
    if _ANNEX.match(data[:_MAX_POINTER_BYTES]) and len(data) <= _MAX_POINTER_BYTES:
        return "a pointer of git-annex; `git annex get` fetches the file itself"
    return ""


def looks_like_picture(name: str) -> bool:
    """Whether the name has the suffix of an image file."""
    return "." in name and name.rsplit(".", 1)[1].lower() in PICTURE_SUFFIXES


def suffix_agrees(name: str, decoded: str) -> bool:
    """Whether a name's suffix matches the format found in the bytes (``JPEG`` …); an unknown suffix matches any."""
    suffix = name.rsplit(".", 1)[1].lower() if "." in name else ""
    if suffix not in PICTURE_SUFFIXES:
        return True
    return suffix in _SUFFIXES.get(decoded, ())


def is_cut_short(data: bytes) -> bool:
    """Whether an undecodable file lacks its end, for formats that mark their end or length."""
    found = sniff(data[:HEAD_BYTES])
    if found == "JPEG":
        return b"\xff\xd9" not in data[-(1 << 16) :]
    if found == "PNG":
        return b"IEND" not in data[-(1 << 16) :]
    if found == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if found == "BMP":
        return int.from_bytes(data[2:6], "little") > len(data)
    return False


_SUFFIXES = {
    "JPEG": ("jpg", "jpeg", "jpe", "jfif", "mpo"),
    "MPO": ("jpg", "jpeg", "jpe", "jfif", "mpo"),
    "PNG": ("png", "apng"),
    "WEBP": ("webp",),
    "GIF": ("gif",),
    "TIFF": ("tif", "tiff"),
    "BMP": ("bmp", "dib"),
    "PPM": ("ppm", "pgm", "pbm", "pnm"),
    "AVIF": ("avif",),
    "JPEG2000": ("jp2", "j2k"),
}
