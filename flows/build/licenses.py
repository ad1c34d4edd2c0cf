"""What a build takes from outside (packaged models, photographs) and what its release says of them."""

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
    """The context of a build's card and gallery; ``digests`` is stage to config8; no model is loaded."""
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
    """Packaged model files behind the configured roles, by name; a role's identity holds the digest of each."""
    digests: set[str] = set()
    for spec in SPECS.values():
        for setting, role in spec.role_settings(config).items():
            # A recorded build of an earlier version may name a backend that is gone.
            with suppress(ConfigurationError):
                choice = choose(spec.roles[setting], role, setting, served_by(config, role.run))
                digests.update(choice.identity.digest.split("+"))
    collections = {name for names in PHOTOGRAPHS.values() for name in names}
    table = asset_table()
    return [table[name] for name in sorted(table.keys() - collections) if table[name].digest in digests]


def used_photographs(config: BuildConfig) -> list[Asset]:
    """Packaged photographs among the configured sources."""
    return [asset_table()[asset] for name in named_collections(config) for asset in PHOTOGRAPHS[name]]


def _attribution(kind: str, asset: Asset) -> Attribution:
    return Attribution(
        kind=kind,
        name=f"{asset.name} ({asset.package})",
        version=asset.version,
        license=asset.license,
        credit=asset.attribution,
    )
