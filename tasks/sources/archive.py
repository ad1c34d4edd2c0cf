"""Lists an uncompressed tar: one entry per member, and one per damaged range."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Self, cast

from tasks.records.errors import Reason
from tasks.records.outcomes import SourceEntry
from tasks.sources.folder import problem_of, version_of
from tasks.sources.formats import pointer_in
from tasks.sources.locations import escape, is_too_long, join, location_of
from tasks.sources.object_prefix import READ_AHEAD, ObjectFile, object_version
from tasks.sources.places import Place
from tasks.storage.objects.s3_client import ObjectRefused

_BLOCK = tarfile.BLOCKSIZE
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_HEADER_ERRORS = (tarfile.TarError, ValueError, OverflowError, EOFError)
_CHUNK = 1 << 20
_HEAD_BYTES = 512
_NO_FILES = (
    (tarfile.TarInfo.issym, "a symbolic link"),
    (tarfile.TarInfo.islnk, "a hard link"),
    (tarfile.TarInfo.isfifo, "a named pipe"),
    (tarfile.TarInfo.isdev, "a device"),
)


class _Member(tarfile.TarInfo):
    """A header whose owner, rights and time may hold anything, since nobody reads them."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Reads a header block; of a damaged field that is read `tarfile`'s own error remains."""
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.InvalidHeaderError:  # type: ignore[attr-defined]  # it is there, but not in the type stubs
            if len(buf) != _BLOCK or tarfile.nti(buf[148:156]) not in _checksums(buf):  # type: ignore[attr-defined]
                raise
            clean = bytearray(buf)
            for start, end in _UNREAD:
                clean[start:end] = bytes(end - start)
            clean[148:156] = b"%06o\x00 " % _checksums(clean)[0]
            return super().frombuf(bytes(clean), encoding, errors)


_UNREAD = ((100, 124), (136, 148), (329, 345))
"""Bytes of a header with rights, owner and group, time, and numbers of devices."""


def _checksums(block: bytes | bytearray) -> tuple[int, int]:
    """Of the header's bytes taken as unsigned and as signed, with blanks in the place of the checksum."""
    rest = block[:148] + b" " * 8 + block[156:]
    return sum(rest), sum(byte - 256 if byte > 127 else byte for byte in rest)


class BadTar(Exception):
    """A file that is no tar to read members from; the message says why, the reason is that of its row."""

    def __init__(self, why: str, reason: Reason = Reason.BAD_ARCHIVE_MEMBER) -> None:
        super().__init__(why)
        self.reason = reason


def list_tar(place: Place) -> list[SourceEntry]:
    """The members of a tar that is a source of its own; see `read_tar`.

    Raises:
        ConfigurationError: the archive is compressed, has no members, or is not a tar.
    """
    try:
        return read_tar(place)
    except BadTar as error:
        raise place.fault(str(error)) from error


def read_tar(place: Place) -> list[SourceEntry]:
    """All members except folders, in the archive's order.

    A member that is not a regular file, or extends past the archive's end, is a ``bad_archive_member``. So is a range
    of bytes without a valid header (``@<byte offset>``); listing continues after it. Absolute names and names with
    ``..`` are ``bad_name``. Nothing is ever unpacked to disk.

    Raises:
        BadTar: the archive is compressed, has no members, or is not a tar.
    """
    with _open(place) as (stream, version):
        head = stream.read(_HEAD_BYTES)
        if head.startswith(_COMPRESSED):
            why = "is compressed; unpack it to a plain .tar, so that single members can be read"
            raise BadTar(why)
        if pointer := pointer_in(head):
            raise BadTar(f"is {pointer}", Reason.POINTER_FILE)
        size = stream.seek(0, io.SEEK_END)
        entries = [
            _damaged(place, found) if isinstance(found, int) else _entry(place, found, version, size)
            for found in _members(stream, size)
        ]
    if all(entry.member.startswith("@") for entry in entries):
        why = "is not a tar, or has no members"
        raise BadTar(why)
    return entries


def _members(stream: BinaryIO, size: int) -> Iterator[tarfile.TarInfo | int]:
    """Members that are not folders, and byte offsets where a damaged range begins."""
    position: int | None = 0
    while position is not None and position < size:
        stream.seek(position)
        begin = end = position
        try:
            with tarfile.open(
                fileobj=stream,
                mode="r:",
                encoding="utf-8",
                errors="surrogateescape",
                tarinfo=_Member,
            ) as tar:
                while (member := tar.next()) is not None:
                    end = tar.offset
                    if not member.isdir():
                        yield member
        except _HEADER_ERRORS:
            pass  # what follows ``end`` is looked at block by block
        if end == begin:
            # A header that is one and yet leads to no member (such as an extension with a broken record).
            yield begin
            end += _BLOCK
            position, _ = _next_header(stream, end, size)
        else:
            position, blank = _next_header(stream, end, size)
            if not blank:
                yield end


def _next_header(stream: BinaryIO, start: int, size: int) -> tuple[int | None, bool]:
    """Offset of the next valid header at or after ``start``, and whether all blocks before it are zeros.

    `tarfile` treats an unreadable header as the end of the archive, and would silently drop the rest.
    """
    blank = True
    stream.seek(start)
    for base in range(start, size, _CHUNK):
        chunk = stream.read(_CHUNK)
        if not chunk.strip(b"\x00"):
            continue
        for offset in range(0, len(chunk), _BLOCK):
            block = chunk[offset : offset + _BLOCK]
            if not block.strip(b"\x00"):
                continue
            if _is_header(block):
                return base + offset, blank
            blank = False
    return None, blank


def _is_header(block: bytes) -> bool:
    if block[257:262] != b"ustar":
        return False
    try:
        _Member.frombuf(block, "utf-8", "surrogateescape")
    except _HEADER_ERRORS:
        return False
    return True


def _entry(place: Place, member: tarfile.TarInfo, version: str, size: int) -> SourceEntry:
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    path = join((place.file, *parts))
    detail = _bad_name(member.name, parts) or ("too long" if is_too_long(place.name, path) else "")
    problem = Reason.BAD_NAME.value if detail else ""
    if not problem and (detail := _bad_member(member, size)):
        problem = Reason.BAD_ARCHIVE_MEMBER.value
    return SourceEntry(
        location=location_of(place.name, path),
        source=place.name,
        path=escape(place.file),
        member=escape(member.name),
        offset=member.offset_data,
        length=member.size,
        version=f"{version}@{member.offset_data}",
        problem=problem,
        license=place.license,
        detail=detail,
    )


def _bad_name(name: str, parts: list[str]) -> str:
    """What is wrong with a member's name, or ``""``."""
    if not parts:
        return "no name"
    if name.startswith("/"):
        return "an absolute path"
    return "a path that climbs" if ".." in parts else ""


def _bad_member(member: tarfile.TarInfo, size: int) -> str:
    """Why a member cannot be read as a file from an archive of ``size`` bytes, or ``""``."""
    if member.issparse():
        return "a sparse file"
    if not member.isreg():
        return next((name for is_one, name in _NO_FILES if is_one(member)), "no regular file")
    return "the archive ends before it does" if member.offset_data + member.size > size else ""


def _damaged(place: Place, offset: int) -> SourceEntry:
    return SourceEntry(
        location=location_of(place.name, join((place.file, f"@{offset}"))),
        source=place.name,
        path=escape(place.file),
        member=f"@{offset}",
        offset=offset,
        length=0,
        version="",
        problem=Reason.BAD_ARCHIVE_MEMBER.value,
        license=place.license,
        detail="bytes that no valid header begins",
    )


@contextmanager
def _open(place: Place) -> Iterator[tuple[BinaryIO, str]]:
    """The archive as a seekable binary file, and its version."""
    if place.folder is not None:
        try:
            stream = (place.folder / place.file).open("rb")
        except OSError as error:
            why = f"cannot be read ({error.strerror})"
            raise BadTar(why, problem_of(error)) from error
        with stream:
            yield stream, version_of(os.fstat(stream.fileno()))
    else:
        store = place.store()
        try:
            info = store.head(place.file)
        except ObjectRefused as error:
            why = f"may not be read ({error.code})"
            raise BadTar(why, Reason.ACCESS_DENIED) from error
        if info is None:
            why = "does not exist"
            raise BadTar(why, Reason.SOURCE_MISSING)
        raw = ObjectFile(store, info)
        yield cast(BinaryIO, io.BufferedReader(raw, READ_AHEAD)), object_version(info)
