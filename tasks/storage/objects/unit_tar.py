"""A unit's tar: reproducible bytes, with the offset of each member's content."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass

BLOCK = 512
"""Bytes of a tar block; header and content are padded to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TarMember:
    """A member's name and the bytes [offset, offset + length) of its content, with their SHA-256."""

    name: str
    offset: int
    length: int
    sha256: str


def pack(contents: Iterable[tuple[str, bytes]]) -> tuple[bytes, tuple[TarMember, ...]]:
    """A USTAR file of the members in the given order: mode 0644; time, user and group zero.

    Raises:
        ValueError: a name is longer than USTAR allows, or is repeated.
    """
    stream = io.BytesIO()
    members: list[TarMember] = []
    names: set[str] = set()
    for name, data in contents:
        if name in names:
            msg = f"{name!r} is packed twice"
            raise ValueError(msg)
        names.add(name)
        info = tarfile.TarInfo(name)
        info.size = len(data)
        info.mode = 0o644
        info.mtime = info.uid = info.gid = 0
        stream.write(info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict"))
        sha = hashlib.sha256(data).hexdigest()
        members.append(TarMember(name=name, offset=stream.tell(), length=len(data), sha256=sha))
        stream.write(data)
        stream.write(bytes(-len(data) % BLOCK))
    stream.write(bytes(2 * BLOCK))
    return stream.getvalue(), tuple(members)
