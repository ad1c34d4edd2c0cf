"""Photograph collections by name: a source called ``demo-photographs`` is fetched and becomes a folder in the cache."""

from __future__ import annotations

from tasks.backends.assets import (
    PHOTOGRAPHS,
    AssetCache,
    asset_table,
    default_cache_folder,
    lay_out_photographs,
)
from tasks.config import BuildConfig
from tasks.sources.settings import SourceSettings

SUFFIX = "-photographs"
"""``demo-photographs`` names the collection ``demo`` of `tasks.backends.assets.PHOTOGRAPHS`."""


def with_photographs(config: BuildConfig) -> BuildConfig:
    """The configuration with each named collection replaced by its folder; no name, no download.

    Raises:
        AssetUnavailable: a collection can't be fetched; the message names ``--source`` as the way out.
    """
    sources = tuple(_located(source) for source in config.sources)
    return config if sources == config.sources else config.model_copy(update={"sources": sources})


def named_collections(config: BuildConfig) -> list[str]:
    """Collections among the sources, by their names in `PHOTOGRAPHS`."""
    names = [source.uri.removesuffix(SUFFIX) for source in config.sources if source.uri.endswith(SUFFIX)]
    return [name for name in names if name in PHOTOGRAPHS]


def _located(source: SourceSettings) -> SourceSettings:
    collection = source.uri.removesuffix(SUFFIX)
    if not source.uri.endswith(SUFFIX) or collection not in PHOTOGRAPHS:
        return source
    asset = asset_table()[PHOTOGRAPHS[collection]]
    cache = AssetCache(default_cache_folder())
    folder = cache.folder / "photographs" / f"{collection}-{asset.version}"
    lay_out_photographs(cache, collection, folder)
    return source.model_copy(
        update={
            "uri": str(folder),
            "name": source.name or source.uri,
            "kind": "folder",
            "licence": source.licence or asset.licence,
        }
    )
