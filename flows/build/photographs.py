"""Photograph collections by name: a source called ``demo-photographs`` is fetched and becomes a folder in the cache."""

from __future__ import annotations

from tasks.backends.assets import (
    PHOTOGRAPHS,
    Asset,
    AssetCache,
    asset_table,
    default_cache_folder,
    lay_out_asset,
)
from tasks.sources.settings import SourceSettings
from tasks.stages.config import BuildConfig

SUFFIX = "-photographs"
"""``demo-photographs`` names the collection ``demo`` of `tasks.backends.assets.PHOTOGRAPHS`."""


def with_photographs(config: BuildConfig) -> BuildConfig:
    """The configuration with each named collection replaced by its folders; no name, no download.

    Raises:
        AssetUnavailable: a collection cannot be fetched; the message names ``--source`` as the way out.
    """
    sources = tuple(located for source in config.sources for located in _located(source))
    return config if sources == config.sources else config.model_copy(update={"sources": sources})


def named_collections(config: BuildConfig) -> list[str]:
    """Collections among the sources, by their names in `PHOTOGRAPHS`."""
    names = [source.uri.removesuffix(SUFFIX) for source in config.sources if source.uri.endswith(SUFFIX)]
    return [name for name in names if name in PHOTOGRAPHS]


def _located(source: SourceSettings) -> list[SourceSettings]:
    """A source for each package that a collection comes from, since each has its license."""
    collection = source.uri.removesuffix(SUFFIX)
    if not source.uri.endswith(SUFFIX) or collection not in PHOTOGRAPHS:
        return [source]
    return [_from_package(source, collection, asset_table()[name]) for name in PHOTOGRAPHS[collection]]


def _from_package(source: SourceSettings, collection: str, asset: Asset) -> SourceSettings:
    cache = AssetCache(default_cache_folder())
    title = asset.name.removeprefix("photographs-")
    # By its digest, too: a collection that was cut or grew must not find the photographs of before.
    folder = cache.folder / "photographs" / f"{title}-{asset.version}-{asset.digest[:8]}"
    lay_out_asset(cache, asset.name, folder)
    return source.model_copy(
        update={
            "uri": str(folder),
            "name": (source.name or source.uri) + title.removeprefix(collection),
            "kind": "folder",
            "license": source.license or asset.license,
        }
    )
