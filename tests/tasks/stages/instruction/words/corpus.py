"""Reads the corpora as lines of `groundedit gates`: correct samples, and each of them with one planted error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "corpora"
COT = {
    "scene": "1_Scene_Description",
    "localization": "2_Target_Localization",
    "editing": "3_Editing_Description",
    "result": "4_Post_Edit_Description",
}


@dataclass(frozen=True)
class Case:
    """One line, and the reasons that are correct for it (none: it must pass)."""

    name: str
    line: str
    reasons: frozenset[str]


def right_cases(corpus: str) -> list[Case]:
    return [Case(sample["id"], json.dumps(line_of(sample)), frozenset()) for sample in samples(corpus)]


def wrong_cases(corpus: str) -> list[Case]:
    return [case for sample in samples(corpus) for case in _planted(sample)]


def samples(corpus: str) -> list[dict[str, Any]]:
    return yaml.safe_load((FOLDER / f"{corpus}.yaml").read_text(encoding="utf-8"))


def line_of(sample: dict[str, Any]) -> dict[str, Any]:
    edit_type, argument = sample["edit"]
    reply: dict[str, Any] | str = sample.get("reply") or {
        "Editing_Type": sample.get("type", edit_type),
        "Editing_Instruction": sample["instruction"],
        "CoT": {key: sample[part] for part, key in COT.items()},
    }
    line = {
        "id": sample["id"],
        "size": sample["size"],
        "objects": [object_of(*each) for each in sample["objects"]],
        "target": sample["target"],
        "edit_type": edit_type,
        "argument": argument,
        "reply": reply,
    }
    return line | {key: sample[key] for key in ("rewritten", "referred") if key in sample}


def object_of(label: str, box: list[int], color: str, part_of: int | None = None) -> dict[str, Any]:
    found = {"label": label, "box": box, "color": color}
    return found if part_of is None else found | {"part_of": part_of}


def _planted(sample: dict[str, Any]) -> Iterator[Case]:
    for number, wrong in enumerate(sample.get("wrong", ())):
        changed = deepcopy(sample) | {
            key: wrong[key] for key in ("type", "referred", "rewritten", "reply") if key in wrong
        }
        for old, new in wrong.get("swap", ()):
            found = False
            for part in wrong["in"]:
                if old == "*":
                    changed[part], found = new, True
                elif old in changed[part]:
                    changed[part], found = changed[part].replace(old, new), True
            assert found, f"{sample['id']}: {old!r} stands in none of {wrong['in']}"
        name = f"{sample['id']}-{wrong['reason']}-{number}"
        yield Case(name, json.dumps(line_of(changed)), frozenset({wrong["reason"], *wrong.get("accept", ())}))
