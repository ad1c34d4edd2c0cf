"""Every known model says its license and one source."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tasks.backends.known_models import KnownModel, known_model, known_models


def test_each_entry_has_a_license_and_one_source() -> None:
    assert known_models()
    assert [m.name for m in known_models().values() if not (m.license and m.source)] == []


def test_a_path_is_found_by_its_last_part_and_a_served_model_by_its_id() -> None:
    ram = known_model("/data/weights/ram_plus_swin_large_14m.pth")
    assert ram is not None
    assert ram.repository == "xinyu1205/recognize-anything-plus-model"
    served = known_model("Qwen/Qwen2.5-VL-7B-Instruct")
    assert served is not None
    assert served.repository == "Qwen/Qwen2.5-VL-7B-Instruct"
    assert known_model("weights/Qwen2.5-VL-7B-Instruct") is served
    assert known_model("weights/mine.pth") is None


def test_a_model_without_a_source_or_with_two_is_refused() -> None:
    for sources in ({}, {"hub": "a/b", "url": "https://example.org/x"}):
        with pytest.raises(ValidationError, match="one of them alone"):
            KnownModel(name="x.pth", what="x", license="MIT", **sources)  # type: ignore[arg-type]
