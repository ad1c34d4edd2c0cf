"""Resolves a configured source: name, kind, root and license; reports problems before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from tasks.records.errors import ConfigurationError, first_line
from tasks.sources.locations import escape, join
from tasks.sources.settings import SourceSettings
from tasks.storage.objects.bucket import Bucket
from tasks.storage.objects.uris import EXAMPLES, BadLocation, Location, parse_location, shown

Kind = Literal["folder", "tar", "sa1b", "list"]

LIST_SUFFIXES = (".parquet", ".csv")
"""Suffixes of lists of URIs."""

_NAMING = "give each its own: --set 'sources=[{uri: URI, name: NAME}, …]'"

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
"""Suffixes of archives; compressed ones are refused, since their members cannot be read one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One source.

    Attributes:
        key: its configuration key, for messages (``sources.0``).
        name: first part of its locations.
        kind: kind of source.
        uri: as configured.
        file: name of the file within its folder (tar, list), ``""`` for a folder or prefix.
        folder: local folder, None for an object store.
        remote: URI of the object store's folder with its slash, which keys follow; ``""`` for a local one.
        license: as configured.
    """

    key: str
    name: str
    kind: Kind
    uri: str
    file: str
    folder: Path | None
    remote: str
    license: str

    def fault(self, what: str) -> ConfigurationError:
        """An error about this source that names key and value."""
        return ConfigurationError(f"{self.key}.uri={self.uri!r}: {what}")

    def store(self) -> Bucket:
        """The objects of a remote source."""
        return Bucket(self.remote)


def resolve_places(sources: Sequence[SourceSettings]) -> list[Place]:
    """The sources in order. They need not exist yet: see `check_place`.

    Raises:
        ConfigurationError: a URI with an unknown scheme, a name with a slash, two sources with one name.
    """
    places = [_resolve(f"sources.{number}", source) for number, source in enumerate(sources)]
    seen: dict[str, str] = {}
    for place in places:
        if place.name in seen:
            msg = f"{place.key}.name={place.name!r}: {seen[place.name]} already has this name; {_NAMING}"
            raise ConfigurationError(msg)
        seen[place.name] = place.key
    return places


def check_place(place: Place) -> None:
    """Checks that a local source exists and is what its kind says.

    Raises:
        ConfigurationError: naming key and value.
    """
    if place.folder is None:
        return
    path = place.folder / place.file
    try:
        there = path.exists()
    except OSError as error:
        raise place.fault(f"cannot be looked at ({error.strerror})") from error
    if not there:
        raise place.fault("does not exist")
    if place.file and not path.is_file():
        raise place.fault(f"is not a file, as expected of a {place.kind}")
    if not place.file and not path.is_dir():
        allowed = " or ".join(("a folder", ".tar", *LIST_SUFFIXES))
        raise place.fault(f"is a single file; expected {allowed}")


def _resolve(key: str, source: SourceSettings) -> Place:
    try:
        location = parse_location(source.uri)
    except BadLocation as error:
        msg = f"{key}.uri={shown(source.uri)!r}: {error}; expected a local path, file:// or {EXAMPLES}"
        raise ConfigurationError(msg) from error
    if location.kind == "web":
        msg = (
            f"{key}.uri={shown(source.uri)!r}: a web address is no source; list addresses in a CSV or Parquet file "
            "with a column 'uri'"
        )
        raise ConfigurationError(msg)
    path = None if location.path is None else location.path.absolute()
    try:
        kind = _kind(source, location, path)
        whole = _remote(location) if path is None else str(path.resolve())
    except (OSError, RuntimeError) as error:  # a name that is too long, a link that leads in a circle
        msg = f"{key}.uri={source.uri!r}: cannot be looked at ({getattr(error, 'strerror', '') or first_line(error)})"
        raise ConfigurationError(msg) from error
    packed = (location.key if path is None else path.name).lower().endswith(TAR_SUFFIXES)
    is_file = kind in ("tar", "list") or (kind == "sa1b" and packed)
    if is_file and path is None and not location.key.strip("/"):
        raise ConfigurationError(f"{key}.uri={source.uri!r}: is a bucket and no {kind}")
    last = whole.rstrip("/").rsplit("/", 1)[1]
    name = source.name or join((_stem(last) if is_file else last,)) or "root"
    if source.name and ("/" in name or name in (".", "..") or name != escape(name)):
        msg = f"{key}.name={source.name!r}: slashes and control characters are not allowed"
        raise ConfigurationError(msg)
    return Place(
        key=key,
        name=name,
        kind=kind,
        uri=source.uri,
        file=(path.name if path is not None else last) if is_file else "",
        folder=None if path is None else (path.parent if is_file else path),
        remote="" if path is not None else (whole.removesuffix(last) if is_file else f"{whole}/"),
        license=source.license,
    )


def _remote(location: Location) -> str:
    return f"s3://{location.bucket}/{location.key}".removesuffix("/")


def _kind(source: SourceSettings, location: Location, path: Path | None) -> Kind:
    if source.kind != "auto":
        return source.kind
    if path is not None and path.is_dir():
        return "folder"
    lower = (location.key if path is None else path.name).lower()
    if lower.endswith(TAR_SUFFIXES):
        return "tar"
    return "list" if lower.endswith(LIST_SUFFIXES) else "folder"


def _stem(file: str) -> str:
    for suffix in (*TAR_SUFFIXES, *LIST_SUFFIXES):
        if file.lower().endswith(suffix):
            return file[: -len(suffix)]
    return PurePosixPath(file).stem
