"""Reads rows, records and samples of schema version 1 (releases 0.1) in their current shapes.

Version 1 kept a bound as text (``">= 0.2"``) beside the verdict, wrote the numbers of an early rejection into its
detail, and used British spelling in some names. Names are never reused for something else, so counts and plans,
which carry no version, are converted by name alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

VERSION = 1

REASONS: Mapping[str, str] = {"wrong_colour": "wrong_color"}
"""Old code of a reason -> current code."""

NAMES: Mapping[str, str] = {
    "asked_colour_share": "asked_color_share",
    "accuracy_asked_colour_share": "accuracy_asked_color_share",
}
"""Old name of a measurement -> current name."""

KEYS: Mapping[str, str] = {"licence": "license", "min_colour_share": "min_color_share"}
"""Old key of a record, source entry or configuration -> current key."""

MEASUREMENT = {"name", "value", "passed", "threshold"}

_RANGE = re.compile(r"(-?[\d.]+) \.\. (-?[\d.]+)")
_BOUND = re.compile(r"(<=|>=|==?) *(-?[\d.]+(?:e-?\d+)?).*", re.DOTALL)
_SAID = re.compile(
    r"(?:^|[;,] )(\w+) (-?[\d.]+(?:e[+-]?\d+)?) \(((?:[<>]=|=)[^()]*(?:\([^()]*\))?|[-\d.]+ \.\. [-\d.]+)\)"
)
"""``name value (bound)``, as stages wrote it into a detail."""

_COUNTS = re.compile(r"\w+ \d+(?:, \w+ \d+)*")
"""``name count, name count``: the detail of a scene without a target."""

NONE = "none"
"""Placeholder for an absent bound in a sample's JSON."""

_NO_NOTES = ("", NONE, "informs", "information: free")


def reason_of(code: str) -> str:
    """The current code of a reason."""
    return REASONS.get(code, code)


def counts_of(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of a unit or a stage with current reasons (``kind:reason``)."""
    reasons: dict[str, int] = {}
    for key, count in counts.get("reasons", {}).items():
        kind, _, code = key.partition(":")
        reasons[f"{kind}:{reason_of(code)}"] = count
    return {**counts, "reasons": dict(sorted(reasons.items()))}


def bounds_of(threshold: str) -> dict[str, Any]:
    """``low``, ``high``, ``decides`` and ``note`` for a bound as text; text that is not a bound decided nothing."""
    low = high = None
    if span := _RANGE.fullmatch(threshold):
        low, high = float(span[1]), float(span[2])
    elif bound := _BOUND.fullmatch(threshold):
        limit = float(bound[2])
        low = None if bound[1] == "<=" else limit
        high = None if bound[1] == ">=" else limit
    decides = low is not None or high is not None
    note = "" if decides or threshold in _NO_NOTES else threshold.removeprefix("information: ")
    return {"low": low, "high": high, "decides": decides, "note": note}


def tree_of(tree: Any) -> Any:
    """A record, source entry or configuration as JSON values: keys renamed, measurements with bounds as numbers."""
    if isinstance(tree, list):
        return [tree_of(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.keys() >= MEASUREMENT:
        name = NAMES.get(tree["name"], tree["name"])
        return {"name": name, "value": tree["value"], **bounds_of(tree["threshold"])}
    return {KEYS.get(key, key): tree_of(value) for key, value in tree.items()}


def sample_of(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of a released sample in the current shape; verdicts stay as released."""
    rest = {key: value for key, value in tree.items() if key not in KEYS}
    objects = [
        {
            **item,
            "scores": [_plain(score) for score in item["scores"] if score["threshold"] == NONE],
            "checks": [_measured(score) for score in item["scores"] if score["threshold"] != NONE]
            or [
                {
                    "name": NONE,
                    "value": 0.0,
                    "low": [],
                    "high": [],
                    "passed": True,
                    "decides": False,
                    "note": NONE,
                }
            ],
        }
        for item in tree["objects"]
    ]
    return {
        **rest,
        **{new: tree[old] for old, new in KEYS.items() if old in tree},
        "target": {**tree["target"], "scores": [_plain(score) for score in tree["target"]["scores"]]},
        "objects": objects,
        "gates": [{**_measured(gate), "stage": gate["stage"]} for gate in tree["gates"]],
        "scores": [_measured(score) for score in tree["scores"]],
    }


def numbers_of(detail: str) -> tuple[str, list[dict[str, Any]]]:
    """The numbers in a row's detail, each with name, value and bounds, and the rest of the detail."""
    if _COUNTS.fullmatch(detail):
        pairs = (item.split(" ") for item in detail.split(", "))
        return "", [_number(name, float(count), "") for name, count in pairs]
    found = [_number(name, float(value), threshold) for name, value, threshold in _SAID.findall(detail)]
    return _SAID.sub("", detail).strip(" ;,"), found


def _plain(score: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": score["name"], "value": score["value"]}


def _measured(score: Mapping[str, Any]) -> dict[str, Any]:
    bounds = bounds_of(score["threshold"])
    return {
        "name": NAMES.get(score["name"], score["name"]),
        "value": score["value"],
        "low": [] if bounds["low"] is None else [bounds["low"]],
        "high": [] if bounds["high"] is None else [bounds["high"]],
        "passed": score["passed"],
        "decides": bounds["decides"],
        "note": bounds["note"] or NONE,
    }


def _number(name: str, value: float, threshold: str) -> dict[str, Any]:
    return {"name": NAMES.get(name, name), "value": value, **bounds_of(threshold)}
