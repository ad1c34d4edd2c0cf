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
    """The configuration in this version's terms; ``out`` is where the dataset is now.

    Keys that this version no longer has are dropped: such a build is read, never run again.
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
