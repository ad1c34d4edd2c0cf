"""Named photograph collections: a source called ``demo-photographs`` is fetched and becomes a folder in the cache."""

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
    """The configuration with each named collection replaced by its folders; downloads only if one is named.

    Raises:
        AssetUnavailable: a collection cannot be fetched; the message suggests ``--source`` as an alternative.
    """
    sources = tuple(located for source in config.sources for located in _located(source))
    return config if sources == config.sources else config.model_copy(update={"sources": sources})


def named_collections(config: BuildConfig) -> list[str]:
    """Names of the collections among the sources, as in `PHOTOGRAPHS`."""
    names = [source.uri.removesuffix(SUFFIX) for source in config.sources if source.uri.endswith(SUFFIX)]
    return [name for name in names if name in PHOTOGRAPHS]


def _located(source: SourceSettings) -> list[SourceSettings]:
    """One source per package of the collection, since each has its own license."""
    collection = source.uri.removesuffix(SUFFIX)
    if not source.uri.endswith(SUFFIX) or collection not in PHOTOGRAPHS:
        return [source]
    return [_from_package(source, collection, asset_table()[name]) for name in PHOTOGRAPHS[collection]]


def _from_package(source: SourceSettings, collection: str, asset: Asset) -> SourceSettings:
    cache = AssetCache(default_cache_folder())
    title = asset.name.removeprefix("photographs-")
    # The digest is part of the path, so an updated collection cannot pick up photographs of an earlier version.
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
