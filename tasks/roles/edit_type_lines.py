"""What a prompt says about the asked type of edit: its lines of ``prompts/edit_types.yaml``."""

from __future__ import annotations

from prompts import load_data
from tasks.records.edit_types import NO_ARGUMENT
from tasks.records.errors import ConfigurationError
from tasks.records.records import EditType

DATA = "edit_types"
"""Name of the file in ``prompts``; a backend that uses these lines declares it among its prompts."""


def prompt_slots(edit_type: EditType, argument: str) -> dict[str, str]:
    """Values for ``$edit_type``, ``$means`` and ``$becomes`` in an instructor's prompt.

    ``argument`` is what the target is to become, ``""`` where the instructor chooses.

    Raises:
        ConfigurationError: the file has no such lines for the type.
    """
    lines = load_data(DATA).get(edit_type.value)
    if not isinstance(lines, dict) or not {"means", "becomes"} <= set(lines):
        msg = f"prompts/{DATA}.yaml: expected 'means' and 'becomes' for {edit_type.value!r}"
        raise ConfigurationError(msg)
    chosen = argument if argument not in ("", NO_ARGUMENT) else str(lines["becomes"])
    return {"edit_type": edit_type.value, "means": str(lines["means"]), "becomes": chosen}
