"""The base of every configuration section: frozen, unknown keys refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """A frozen section of the configuration; an unknown key is an error that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


class RoleSettings(Settings):
    """Which backend answers for a role, and its options (checked by the backend's own settings class)."""

    backend: str = Field(description="registered name of the backend")
    options: dict[str, str | int | float | bool] = Field(default_factory=dict)
