"""What a question and a GPU cost, as a profile states it: `groundedit plan` uses it where nothing was measured yet."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from tasks.records.settings_base import Settings
from tasks.roles.questions import ROLES

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class RateSettings(Settings):
    """Figures to plan with. They change no result and are in no digest."""

    source: str = Field(default="", description="where the seconds come from: card, model, who measured")
    seconds: dict[str, NotNegative] = Field(
        default={},
        description="role: seconds per question of one replica or URL that is kept busy (at N per second, 1/N)",
    )
    cards: dict[str, NotNegative] = Field(
        default={}, description="server: GPUs behind one of its URLs, where the build does not start it"
    )
    gpu_hour_price: float = Field(default=0.0, ge=0, description="of one GPU for one hour; 0: not known")
    currency: str = Field(default="USD", description="of the price")

    @field_validator("seconds")
    @classmethod
    def _roles_exist(cls, seconds: dict[str, float]) -> dict[str, float]:
        for role in seconds:
            if role not in ROLES:
                msg = f"unknown role {role!r} (available: {', '.join(ROLES)})"
                raise ValueError(msg)
        return seconds
