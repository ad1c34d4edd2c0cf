"""Records as canonical JSON and back: ``record -> text -> record`` is the identity."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from tasks.records import version_1
from tasks.records.canonical import canonical_json
from tasks.records.errors import DataFault
from tasks.records.outcomes import Record, SourceEntry
from tasks.records.records import (
    SCHEMA_VERSION,
    SCHEMA_VERSIONS,
    EditedSample,
    EditPlan,
    GroundedTarget,
    SourceImage,
)

RECORD_TYPE = "record_type"
"""Key in the JSON for the name of the record's class."""

_TYPES: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (SourceEntry, SourceImage, GroundedTarget, EditPlan, EditedSample)
}


def encode_record(record: Record | SourceEntry) -> str:
    """Canonical JSON of a record; the key ``record_type`` names its class, numpy scalars become plain numbers.

    Raises:
        ValueError: NaN, infinity, or a value that JSON cannot represent.
    """
    name = type(record).__name__
    fields = _plain_fields(_adapter(name), record)
    return canonical_json({RECORD_TYPE: name, **fields}).decode()


def decode_record(text: str, version: int = SCHEMA_VERSION) -> Record | SourceEntry:
    """Reads a record written by `encode_record`, also of an earlier schema version, in the current shape.

    Raises:
        DataFault: the text is not a record of a known class, or its version is unknown.
    """
    if version not in SCHEMA_VERSIONS:
        known = ", ".join(map(str, SCHEMA_VERSIONS))
        raise DataFault(f"unknown schema version {version} of a record (available: {known})")
    head, _, rest = text.partition(f'"{RECORD_TYPE}":"')
    name = rest.partition('"')[0]
    if name not in _TYPES or not head.startswith("{"):
        msg = f"not a record of a known class: {text[:80]!r}"
        raise DataFault(msg)
    try:
        # Unknown keys are ignored by dataclass validation, so the type's name needs no removal.
        adapter = _adapter(name)
        if version == version_1.VERSION:
            record: Record | SourceEntry = adapter.validate_python(version_1.tree_of(json.loads(text)))
        else:
            record = adapter.validate_json(text)
    except ValueError as error:
        if not isinstance(error, ValidationError):
            raise DataFault(f"{name}: not JSON ({error})") from error
        msg = f"{name}: {error.errors()[0]['msg']} at {error.errors()[0]['loc']}"
        raise DataFault(msg) from error
    return record


def edit_type_of(record: Record | SourceEntry | None) -> str:
    """The edit type of a record, ``""`` before one was chosen."""
    if isinstance(record, EditPlan):
        return record.edit_type.value
    if isinstance(record, EditedSample):
        return record.plan.edit_type.value
    return ""


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(_TYPES[name])


def _plain_fields(adapter: TypeAdapter[Any], record: object) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = adapter.dump_python(record, mode="json", warnings="error")
    except PydanticSerializationError:
        # Numpy scalars; anything else is rejected by the validation below.
        fields = adapter.dump_python(record, mode="json", warnings=False, fallback=_plain)
    # Serialization accepts None for a number; what cannot be read again must not be written.
    return dict(adapter.dump_python(adapter.validate_python(fields), mode="json"))


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    msg = f"a {type(value).__name__} is not a JSON value"
    raise ValueError(msg)
