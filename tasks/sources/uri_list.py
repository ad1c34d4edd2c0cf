"""A Parquet or CSV list of URIs (column ``uri``, optional ``license``): its rows, and what each points to.

Entries hold a key, never the URI itself: absolute paths, user names and signatures stay in the list file, where the
reader looks them up again.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.records.errors import Reason
from tasks.records.outcomes import SourceEntry
from tasks.sources.folder import detail_of, entry_of, problem_of, version_of
from tasks.sources.formats import looks_like_picture, pointer_in
from tasks.sources.locations import Unique, join
from tasks.sources.places import LIST_SUFFIXES, Place
from tasks.storage.objects.uris import BadLocation, Location, parse_location, scheme_of

_LICENSE_COLUMNS = ("license", "licence")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRow:
    """A row of a list.

    Attributes:
        key: ``bucket/key``, ``host/path`` of an address, or the relative path of a file; unique within the list.
        location: what it points to, a local path being absolute; None for a row that points to nothing readable.
        license: as listed, ``""`` if not stated.
        detail: why it points to nothing readable (``bad_name``), ``""`` if it does.
    """

    key: str
    location: Location | None
    license: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UriList:
    """A list that was read.

    Attributes:
        rows: in the list's order.
        ignored: names of the columns that nobody reads, in the list's order.
    """

    rows: list[ListRow]
    ignored: tuple[str, ...]


def read_list(place: Place) -> UriList:
    """Reads a list.

    Raises:
        ConfigurationError: the list cannot be parsed, has no column ``uri``, or has a column that looks like a
            misspelt ``license``.
    """
    values, ignored = _columns(place)
    unique = Unique()
    rows = []
    for number, (uri, license) in enumerate(values, start=1):
        row = _row(place, uri.strip(), license.strip(), number)
        rows.append(replace(row, key=unique(row.key)))
    return UriList(rows=rows, ignored=ignored)


def entries_of(place: Place, listed: UriList) -> list[SourceEntry]:
    """One entry per row. Local files are checked; remote addresses are only tried when they are read."""
    return [_entry(place, row) for row in listed.rows]


def is_list(file: str) -> bool:
    """Whether a file is a list by its name."""
    return file.lower().endswith(LIST_SUFFIXES)


def has_uris(place: Place) -> bool:
    """Whether a file that is a list by its name has a column ``uri``.

    Raises:
        ConfigurationError: it cannot be parsed.
    """
    return any(_plain(name) == "uri" for name in _table(place)[0])


def _entry(place: Place, row: ListRow) -> SourceEntry:
    version, length, detail = "", -1, row.detail
    problem = None if row.location is not None else Reason.BAD_NAME
    if row.location is not None and row.location.path is not None:
        path = row.location.path
        try:
            info = path.stat()
            version, length = version_of(info), info.st_size
        except OSError as error:
            problem, detail = problem_of(error), detail_of(str(path), error)
    entry = entry_of(place, row.key, version=version, length=length, problem=problem, detail=detail)
    return replace(entry, license=row.license) if row.license else entry


def _row(place: Place, uri: str, license: str, number: int) -> ListRow:
    try:
        location = _location(place, uri)
    except BadLocation as error:
        return ListRow(key=f"row-{number}", location=None, license=license, detail=str(error))
    # A relative row of a list in an object store has become an object, and keeps its path as its key.
    key = _key(place, location) if scheme_of(uri) or place.folder is not None else join(_parts(uri))
    return ListRow(key=key, location=location, license=license)


def _location(place: Place, uri: str) -> Location:
    """What a row points to; raises `BadLocation` if that is nothing readable."""
    if not uri:
        raise BadLocation("no uri in this row")
    location = parse_location(uri, typed=False)
    if location.kind == "object" and not location.key:
        raise BadLocation("a bucket without a key")
    if location.path is None:
        return location
    if place.folder is not None:
        return replace(location, path=place.folder / location.path)
    if scheme_of(uri) or location.path.is_absolute() or ".." in location.path.parts:
        raise BadLocation("a list in an object store can't name local files or climb")
    root = parse_location(place.remote)
    return Location(kind="object", bucket=root.bucket, key=root.key + "/".join(_parts(uri)))


def _key(place: Place, location: Location) -> str:
    if location.kind == "web":
        # No user, password or port; the query is dropped as a whole.
        return join((location.host, *_parts(unquote(urlsplit(location.url).path))))
    if location.path is not None:
        return _local_key(place.folder or Path(), location.path)
    return join((location.bucket, *location.key.split("/")))


def _local_key(folder: Path, path: Path) -> str:
    """Path below the list's folder; for a file elsewhere a hash replaces its folder, which may be private."""
    if path.is_relative_to(folder):
        return join(_parts(str(path.relative_to(folder))))
    parent = hashlib.sha256(os.fsencode(os.path.normpath(path.parent))).hexdigest()[:8]
    return join((parent, path.name))


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


@dataclass(frozen=True, slots=True)
class _Column:
    index: int
    name: str


_Rows = Callable[[Sequence[_Column]], list[tuple[str, ...]]]
"""Reads the values of some columns, row by row."""


def _columns(place: Place) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """Address and license of each row, and the names of columns that are not read."""
    names, rows = _table(place)
    if not names:
        raise place.fault("has no rows")
    chosen = _choose(place, names)
    wanted = [chosen[key] for key in ("uri", "license") if key in chosen]
    table = rows(wanted)
    if not table:
        raise place.fault("has no rows")
    used = {each.index for each in wanted}
    ignored = tuple(name for index, name in enumerate(names) if index not in used and name.strip())
    return [(row[0], row[1] if len(row) > 1 else "") for row in table], ignored


def _table(place: Place) -> tuple[list[str], _Rows]:
    """Names of all columns, and a reader of some of them; the others may hold anything."""
    try:
        data = _bytes(place)
        if pointer := pointer_in(data):
            raise place.fault(f"is {pointer}")
        return _csv_table(place, data) if _is_csv(place.file) else _parquet_table(place, data)
    except (OSError, pa.ArrowException) as error:
        raise place.fault(f"cannot be read as a list ({type(error).__name__})") from error


def _choose(place: Place, names: Sequence[str]) -> dict[str, _Column]:
    """The columns ``uri`` and, if there is one, ``license``, in any case and with any blanks around them.

    Raises:
        ConfigurationError: no ``uri``; one of them twice; no ``license``, but a column that looks meant as one.
    """
    plain = [_plain(name) for name in names]
    chosen = {}
    for key, spellings in (("uri", ("uri",)), ("license", _LICENSE_COLUMNS)):
        found = [_Column(index, names[index]) for index, name in enumerate(plain) if name in spellings]
        if len(found) > 1:
            twice = " and ".join(repr(each.name) for each in found)
            raise place.fault(f"has the column {found[0].name!r} more than once ({twice}); {_EXPECTED}")
        if found:
            chosen[key] = found[0]
    if "uri" not in chosen:
        found_names = f"has no column 'uri', only {', '.join(map(repr, names))}"
        # The first row's values may be private, but say so if the header row is missing.
        raise place.fault(f"{_NO_HEADER if any(map(_is_value, names)) else found_names}; {_EXPECTED}")
    if "license" not in chosen and (close := [name for name in names if _means_license(name)]):
        raise place.fault(
            f"has the column {close[0]!r}, which looks like the licenses of the photographs; name it 'license', or "
            f"rename it if it is something else ({_EXPECTED})"
        )
    return chosen


def _plain(name: str) -> str:
    """A column's name without case, byte-order marks, quotes and blanks around it."""
    return name.strip(_AROUND).casefold()


def _means_license(name: str) -> bool:
    word = _plain(name)
    return any(part in word for part in ("licen", "lizen")) or bool(
        difflib.get_close_matches(word, _LICENSE_COLUMNS, n=1, cutoff=_CLOSE)
    )


_AROUND = "\ufeff\u200b\u00a0 \t\r\n\v\f\"'"
_CLOSE = 0.75
"""How alike a misspelling is, by `difflib`: one wrong or two swapped letters of 'license' are."""

_NO_HEADER = "begins with a row and not with a header line"
_EXPECTED = "expected the columns 'uri' and optionally 'license'"


def _is_value(name: str) -> bool:
    """Whether a column's name looks like a value of such a column: a path or an address."""
    return "/" in name or looks_like_picture(name)


def _is_csv(file: str) -> bool:
    return file.lower().endswith(".csv")


def _csv_table(place: Place, data: bytes) -> tuple[list[str], _Rows]:
    # The limit is for cells of columns that nobody reads, too; the file itself is in memory already.
    csv.field_size_limit(max(csv.field_size_limit(), len(data) + 1))
    # Bytes that are not UTF-8 are an error only where they are used.
    text = data.decode("utf-8-sig", "surrogateescape")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, lines, line = list[list[str]](), list[int](), 0
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(line + 1)
            line = reader.line_num
    except csv.Error as error:
        # The line where the row begins: for an unclosed quote the parser would report the file's last line.
        raise place.fault(f"cannot be read as a list (line {line + 1}: {error})") from error

    def values(columns: Sequence[_Column]) -> list[tuple[str, ...]]:
        table = [tuple("".join(row[c.index : c.index + 1]) for c in columns) for row in rows[1:]]
        for number, row in zip(lines[1:], table, strict=True):
            _check_text(place, row, number)
        return table

    names = rows[0] if rows else []
    _check_text(place, names, 1)
    return names, values


def _check_text(place: Place, cells: Sequence[str], line: int) -> None:
    if any(_NOT_UTF8.search(cell) for cell in cells):
        raise place.fault(f"cannot be read as a list (line {line}: not UTF-8)")


_NOT_UTF8 = re.compile("[\ud800-\udfff]")


def _parquet_table(place: Place, data: bytes) -> tuple[list[str], _Rows]:
    # Without limits on texts of the footer, which grow with columns that nobody reads.
    file = pq.ParquetFile(
        io.BytesIO(data), thrift_string_size_limit=_NO_LIMIT, thrift_container_size_limit=_NO_LIMIT
    )
    schema = file.schema_arrow

    def values(columns: Sequence[_Column]) -> list[tuple[str, ...]]:
        for column in columns:
            kind = schema.field(column.index).type
            if not _is_text(kind):
                raise place.fault(f"has a column {column.name!r} of {kind}, where text is expected")
        table = file.read(columns=[column.name for column in columns])
        lists = [table.column(column.name).to_pylist() for column in columns]
        return [
            tuple("" if value is None else str(value) for value in row) for row in zip(*lists, strict=True)
        ]

    return list(schema.names), values


_NO_LIMIT = (1 << 31) - 1


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
