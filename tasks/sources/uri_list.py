"""A Parquet or CSV list of URIs (column ``uri``, optional ``license``): its rows, and what each points to.

Entries hold a key, never the URI itself: absolute paths, user names and signatures stay in the list file, where the
reader looks them up again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.records.errors import Reason
from tasks.records.outcomes import SourceEntry
from tasks.sources.folder import detail_of, entry_of, problem_of, version_of
from tasks.sources.formats import looks_like_picture
from tasks.sources.locations import join
from tasks.sources.places import Place
from tasks.storage.objects.uris import in_object_store, scheme_of

_LICENSE_COLUMNS = ("license", "licence")
_WEB = ("http", "https")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRow:
    """A row of a list.

    Attributes:
        key: ``host/path`` of an address, or the relative path of a file; unique within the list.
        uri: as listed.
        path: the local file, ``""`` for an address.
        license: as listed, ``""`` if not stated.
        problem: ``bad_name`` for a row that points to nothing readable, else None.
        detail: the explanation of ``problem``, ``""`` without one.
    """

    key: str
    uri: str
    path: str
    license: str
    problem: Reason | None
    detail: str = ""


def read_rows(place: Place) -> list[ListRow]:
    """All rows, in the list's order.

    Raises:
        ConfigurationError: the list cannot be parsed or has no column ``uri``.
    """
    taken: dict[str, int] = {}
    rows = []
    for number, (uri, license) in enumerate(_columns(place), start=1):
        row = _row(place, uri.strip(), license.strip(), number)
        taken[row.key] = taken.get(row.key, 0) + 1
        if taken[row.key] > 1:
            row = replace(row, key=f"{row.key}#{taken[row.key]}")
        rows.append(row)
    return rows


def list_rows(place: Place) -> list[SourceEntry]:
    """One entry per row. Local files are checked; remote addresses are only tried when they are read."""
    return [_entry(place, row) for row in read_rows(place)]


def _entry(place: Place, row: ListRow) -> SourceEntry:
    version, length, problem, detail = "", -1, row.problem, row.detail
    if row.path and problem is None:
        try:
            info = Path(row.path).stat()
            version, length = version_of(info), info.st_size
        except OSError as error:
            problem, detail = problem_of(error), detail_of(row.path, error)
    entry = entry_of(place, row.key, version=version, length=length, problem=problem, detail=detail)
    if not row.license:
        return entry
    return SourceEntry(**{f: getattr(entry, f) for f in entry.__slots__} | {"license": row.license})


def _row(place: Place, uri: str, license: str, number: int) -> ListRow:
    try:
        key, path = _resolve(place, uri)
    except ValueError as error:
        key, why = f"row-{number}", str(error)
        return ListRow(key=key, uri=uri, path="", license=license, problem=Reason.BAD_NAME, detail=why)
    return ListRow(key=key, uri=uri, path=path, license=license, problem=None)


def _resolve(place: Place, uri: str) -> tuple[str, str]:
    """Key and local path (``""`` for an address) of a URI; ValueError if it points to nothing readable."""
    scheme, parts = scheme_of(uri), urlsplit(uri)
    if (scheme in _WEB or in_object_store(uri)) and parts.hostname and parts.path.strip("/"):
        # `hostname` drops user and password; the query is dropped as a whole.
        return join((parts.hostname, *_parts(unquote(parts.path) if scheme in _WEB else parts.path))), ""
    if not uri:
        raise ValueError("no uri in this row")
    if "\x00" in uri or scheme not in ("", "file"):
        raise ValueError("neither a path nor an address")
    if parts.netloc not in ("", "localhost") and scheme:
        raise ValueError("a file of another machine")
    path = Path(unquote(parts.path) if scheme == "file" else uri)
    if place.folder is not None:
        return _local_key(place.folder, place.folder / path), str(place.folder / path)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("a list in an object store can't name local files or climb")
    return join(_parts(uri)), ""


def _local_key(folder: Path, path: Path) -> str:
    """Path below the list's folder; for a file elsewhere a hash replaces its folder, which may be private."""
    if path.is_relative_to(folder):
        return join(_parts(str(path.relative_to(folder))))
    parent = hashlib.sha256(os.fsencode(os.path.normpath(path.parent))).hexdigest()[:8]
    return join((parent, path.name))


def _parts(path: str) -> list[str]:
    return [part for part in PurePosixPath(path).parts if part not in ("/", "//", ".")]


def _columns(place: Place) -> list[tuple[str, str]]:
    try:
        data = _bytes(place)
        csv_list = place.file.lower().endswith(".csv")
        names, table = _csv_rows(place, data) if csv_list else _parquet_rows(place, data)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise place.fault(f"cannot be read as a list (line {line}: not UTF-8)") from error
    except (OSError, pa.ArrowException) as error:
        raise place.fault(f"cannot be read as a list ({type(error).__name__})") from error
    if not names:
        raise place.fault("has no rows")
    if "uri" not in names:
        found = f"has no column 'uri', only {', '.join(map(repr, names))}"
        # The first row's values may be private, but say so if the header row is missing.
        raise place.fault(
            f"{_NO_HEADER}; {_EXPECTED}" if any(map(_is_value, names)) else f"{found}; {_EXPECTED}"
        )
    for name in ("uri", *_LICENSE_COLUMNS):
        if names.count(name) > 1:
            raise place.fault(f"has the column {name!r} more than once; {_EXPECTED}")
    if not table:
        raise place.fault("has no rows")
    license = next((name for name in _LICENSE_COLUMNS if name in names), "")
    return [(str(row.get("uri") or ""), str(row.get(license) or "")) for row in table]


_NO_HEADER = "begins with a row and not with a header line"
_EXPECTED = "expected the columns 'uri' and optionally 'license'"


def _is_value(name: str) -> bool:
    """Whether a column's name looks like a value of such a column: a path or an address."""
    return "/" in name or looks_like_picture(name)


def _csv_rows(place: Place, data: bytes) -> tuple[list[str], list[dict[str, str]]]:
    reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
    rows, line = [], 0
    try:
        for row in reader:
            rows += [row] if row else []
            line = reader.line_num
    except csv.Error as error:
        # The line where the row begins: for an unclosed quote the parser would report the file's last line.
        raise place.fault(f"cannot be read as a list (line {line + 1}: {error})") from error
    names = rows[0] if rows else []
    return names, [dict(zip(names, row, strict=False)) for row in rows[1:]]


def _parquet_rows(place: Place, data: bytes) -> tuple[list[str], list[dict[str, object]]]:
    arrow = pq.read_table(io.BytesIO(data))
    columns = [name for name in ("uri", *_LICENSE_COLUMNS) if name in arrow.column_names]
    for name in columns:
        kind = arrow.schema.field(arrow.schema.get_all_field_indices(name)[0]).type
        if not _is_text(kind):
            raise place.fault(f"has a column {name!r} of {kind}, where text is expected")
    return arrow.column_names, arrow.select(columns).to_pylist()


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(fits(kind) for fits in _TEXTS)


_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)


def _bytes(place: Place) -> bytes:
    if place.folder is not None:
        return (place.folder / place.file).read_bytes()
    data = place.store().find(place.file)
    if data is None:
        raise place.fault("does not exist")
    return data
