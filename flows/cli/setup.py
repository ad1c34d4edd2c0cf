"""``groundedit fetch`` and ``groundedit config show``."""

from __future__ import annotations

import argparse
import json

from flows.build.licenses import used_models, used_photographs
from flows.build.request import BuildRequest, resolve
from flows.cli.tables import text_table
from flows.cli.terminal import tell
from tasks.backends.assets import AssetCache, default_cache_folder
from tasks.stages.config import leaf_values
from tasks.stages.registry import check_roles


def fetch(arguments: argparse.Namespace) -> int:
    """Downloads the model files and photographs of a profile into the cache, checking each digest."""
    config, _ = resolve(BuildRequest(profile=arguments.profile, assignments=tuple(arguments.assignments)))
    check_roles(config)
    assets = [*used_models(config), *used_photographs(config)]
    cache = AssetCache(default_cache_folder())
    cache.fetch([asset.name for asset in assets])
    rows = [
        ("asset", "from", "version", "license"),
        *((a.name, a.package, a.version, a.license) for a in assets),
    ]
    tell(text_table(rows))
    tell(f"\nin {cache.folder}")
    return 0


def show_config(arguments: argparse.Namespace) -> int:
    """Prints every setting with its value and the origin of that value."""
    config, origins = resolve(
        BuildRequest(profile=arguments.profile, assignments=tuple(arguments.assignments))
    )
    values = leaf_values(config)
    if arguments.json:
        tell(
            json.dumps(
                {key: {"value": value, "from": origins.get(key, "default")} for key, value in values.items()}
            )
        )
        return 0
    rows = [
        (key, json.dumps(value, ensure_ascii=False), origins.get(key, "default"))
        for key, value in values.items()
    ]
    tell(text_table([("setting", "value", "from"), *rows]))
    return 0
