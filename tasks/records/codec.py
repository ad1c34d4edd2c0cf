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
from tasks.records.records import SCHEMA_VERSION, EditedSample, EditPlan, GroundedTarget, SourceImage

RECORD_TYPE = "record_type"
"""Key under which the JSON says what it holds."""

_TYPES: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (SourceEntry, SourceImage, GroundedTarget, EditPlan, EditedSample)
}


def encode_record(record: Record | SourceEntry) -> str:
    """Canonical JSON of a record; the key ``record_type`` names its class, numpy scalars become plain numbers.

    Raises:
        ValueError: for NaN, infinity, or a value that JSON can't hold.
    """
    name = type(record).__name__
    fields = _plain_fields(_adapter(name), record)
    return canonical_json({RECORD_TYPE: name, **fields}).decode()


def decode_record(text: str, version: int = SCHEMA_VERSION) -> Record | SourceEntry:
    """The record that `encode_record` wrote, or that of an earlier schema version in today's shape.

    Raises:
        DataFault: the text is no record of a known class, or the version is not known here.
    """
    if version not in (version_1.VERSION, SCHEMA_VERSION):
        raise DataFault(
            f"a record of schema version {version}; known are {version_1.VERSION} and {SCHEMA_VERSION}"
        )
    head, _, rest = text.partition(f'"{RECORD_TYPE}":"')
    name = rest.partition('"')[0]
    if name not in _TYPES or not head.startswith("{"):
        msg = f"no record of a known class: {text[:80]!r}"
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
            raise DataFault(f"{name}: no JSON ({error})") from error
        msg = f"{name}: {error.errors()[0]['msg']} at {error.errors()[0]['loc']}"
        raise DataFault(msg) from error
    return record


def edit_type_of(record: Record | SourceEntry | None) -> str:
    """The edit type a record carries, ``""`` before one was drawn."""
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
        # Numpy scalars, or something worse, which the validation below refuses.
        fields = adapter.dump_python(record, mode="json", warnings=False, fallback=_plain)
    # Serializing lets None pass for a number; what can't be read again must not be written.
    return dict(adapter.dump_python(adapter.validate_python(fields), mode="json"))


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    msg = f"a {type(value).__name__} is no JSON value"
    raise ValueError(msg)
