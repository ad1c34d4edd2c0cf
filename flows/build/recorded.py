"""The configuration of a recorded build, whichever version of the program recorded it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from tasks.records import version_1
from tasks.records.records import SCHEMA_VERSION
from tasks.stages.config import BuildConfig
from tasks.storage.protocol.builds import BuildRecord


def recorded_config(record: BuildRecord, out: str) -> BuildConfig:
    """The configuration as this version knows it; ``out`` is where the dataset lies now.

    Of a build by an earlier version, keys that are gone are left out: it is read, never run again.
    """
    tree = dict(record.config)
    if record.schema_version < SCHEMA_VERSION:
        tree = _known(BuildConfig, version_1.tree_of(tree))
    return BuildConfig.model_validate({**tree, "out": out})


def _known(model: type[BaseModel], tree: Mapping[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for key, value in tree.items():
        if key not in model.model_fields:
            continue
        section = model.model_fields[key].annotation
        if isinstance(section, type) and issubclass(section, BaseModel) and isinstance(value, Mapping):
            known[key] = _known(section, value)
        else:
            known[key] = value
    return known
