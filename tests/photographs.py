"""Collections of photographs, laid out for tests that need files of their own."""

from __future__ import annotations

from pathlib import Path

from tasks.backends.assets import PHOTOGRAPHS, AssetCache, default_cache_folder, lay_out_asset


def lay_out_photographs(collection: str, folder: Path) -> list[Path]:
    """The photographs of a collection (a key of `PHOTOGRAPHS`) in a folder, by name."""
    cache = AssetCache(default_cache_folder())
    return sorted(path for name in PHOTOGRAPHS[collection] for path in lay_out_asset(cache, name, folder))
