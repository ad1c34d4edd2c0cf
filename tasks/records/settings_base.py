"""The base of every configuration section: frozen, unknown keys are errors."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Settings(BaseModel):
    """A frozen section of the configuration; an unknown key is an error that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)

    @model_validator(mode="after")
    def _no_empty_range(self) -> Self:
        """Rejects ``min_x`` above ``max_x``: nothing would pass, which a build would only show at its end."""
        for low in type(self).model_fields:
            high = f"max_{low.removeprefix('min_')}"
            if low.startswith("min_") and high in type(self).model_fields:
                least, most = getattr(self, low), getattr(self, high)
                if least > most:
                    msg = f"{low} {least} is above {high} {most}: no value can pass"
                    raise ValueError(msg)
        return self


class RoleSettings(Settings):
    """Which backend answers for a role, its options (checked by the backend's settings class), and where it runs."""

    backend: str = Field(description="registered name of the backend")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the backend")
    run: str = Field(
        default="here", description="here, or the name of a pool or server; not part of any digest"
    )
