"""What a user requests, as a command or as a deployment's parameters, before it becomes a configuration."""

from __future__ import annotations

from pydantic import Field

from tasks.records.settings_base import Settings
from tasks.stages.config import BuildConfig, load_with_origins


class BuildRequest(Settings):
    """The arguments of ``groundedit build``; empty ones keep the profile's values."""

    profile: str = Field(default="embedded", description="name of a profile, or path to a YAML file")
    source: tuple[str, ...] = Field(default=(), description="URIs of photographs, instead of the profile's")
    out: str = Field(default="", description="dataset URI")
    name: str = Field(default="", description="release name")
    assignments: tuple[str, ...] = Field(default=(), description="a.b=value overrides")
    limit: int | None = Field(default=None, ge=0, description="use only the first so many photographs")
    exclude: str = Field(default="", description="file with ids or locations to exclude")
    stages: str = Field(default="", description="stages to run: a, a..b, a.. or ..b; all by default")
    retry_failed: bool = Field(default=False, description="try failed inputs again")
    recheck: bool = Field(default=False, description="read photographs again and take changed ones as new")


def resolve(request: BuildRequest) -> tuple[BuildConfig, dict[str, str]]:
    """Returns the configuration and the origin of each of its values.

    Raises:
        ConfigurationError: an unknown profile or key, or a bad value.
    """
    arguments: dict[str, object] = {
        "sources": [{"uri": uri} for uri in request.source] or None,
        "out": request.out or None,
        "name": request.name or None,
        "limit": request.limit,
        "exclude": request.exclude or None,
    }
    return load_with_origins(request.profile, request.assignments, arguments)
