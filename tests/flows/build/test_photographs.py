"""A collection named as a source becomes the folders of its packages, each with its license."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.build.photographs import named_collections, with_photographs
from tasks.backends.assets import PHOTOGRAPHS, asset_table
from tasks.stages.config import load_config

pytestmark = pytest.mark.assets


def test_each_package_of_a_collection_is_a_source_with_its_own_name_and_license() -> None:
    config = load_config("embedded", (), {})
    found = with_photographs(config).sources
    assets = [asset_table()[name] for name in PHOTOGRAPHS["demo"]]
    assert [s.name for s in found] == [
        "demo-photographs",
        "demo-photographs-argon",
        "demo-photographs-clean-blog",
        "demo-photographs-creative",
        "demo-photographs-face-api",
        "demo-photographs-interior",
        "demo-photographs-richie",
        "demo-photographs-shards",
        "demo-photographs-soft-ui",
        "demo-photographs-vendure",
    ]
    assert [s.license for s in found] == [a.license for a in assets]
    for source, asset in zip(found, assets, strict=True):
        assert sorted(p.name for p in Path(source.uri).iterdir()) == sorted(
            Path(m).name for m in asset.members
        )


def test_a_folder_of_ones_own_stays_as_it_is(tmp_path: Path) -> None:
    config = load_config("embedded", (), {"sources": [{"uri": str(tmp_path)}]})
    assert with_photographs(config) is config
    assert named_collections(config) == []
