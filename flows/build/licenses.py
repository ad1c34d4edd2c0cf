"""The packaged models and photographs that a build uses, and what its release states about them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from flows.build.photographs import named_collections
from tasks.backends.assets import PHOTOGRAPHS, Asset, asset_table
from tasks.publishing.release_context import Attribution, ReleaseContext, sample_context
from tasks.records.errors import ConfigurationError
from tasks.roles.backends import choose
from tasks.stages.choices import served_by
from tasks.stages.config import BuildConfig
from tasks.stages.registry import SPECS


def release_context(config: BuildConfig, digests: Mapping[str, str]) -> ReleaseContext:
    """The context for a build's card and gallery; ``digests`` maps stage to config8. Loads no model."""
    editing = config.editing
    models = [_attribution("model", asset) for asset in used_models(config)]
    photographs = [_attribution("photographs", asset) for asset in used_photographs(config)]
    return ReleaseContext(
        name=config.name,
        profile=config.profile,
        sample=sample_context(config.seed, digests, editing.min_accuracy, editing.min_seamlessness),
        attributions=(*models, *photographs),
    )


def used_models(config: BuildConfig) -> list[Asset]:
    """Packaged model files used by the configured roles, by name; a role's identity holds the digest of each."""
    digests: set[str] = set()
    for spec in SPECS.values():
        for setting, role in spec.role_settings(config).items():
            # A build recorded by an earlier version may name a backend that no longer exists.
            with suppress(ConfigurationError):
                choice = choose(spec.roles[setting], role, setting, served_by(config, role.run))
                digests.update(choice.identity.digest.split("+"))
    collections = {name for names in PHOTOGRAPHS.values() for name in names}
    table = asset_table()
    return [table[name] for name in sorted(table.keys() - collections) if table[name].digest in digests]


def used_photographs(config: BuildConfig) -> list[Asset]:
    """Packaged photographs used by the configured sources."""
    return [asset_table()[asset] for name in named_collections(config) for asset in PHOTOGRAPHS[name]]


def _attribution(kind: str, asset: Asset) -> Attribution:
    return Attribution(
        kind=kind,
        name=f"{asset.name} ({asset.package})",
        version=asset.version,
        license=asset.license,
        credit=asset.attribution,
    )
