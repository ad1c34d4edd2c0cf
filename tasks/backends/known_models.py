"""License and source of the models that profiles name, as `known_models.yaml` lists them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import PurePosixPath

import yaml
from pydantic import Field, TypeAdapter, model_validator

from tasks.records.settings_base import Settings


class KnownModel(Settings):
    """A published model."""

    name: str = Field(min_length=1, description="of its file or folder, or its id at a server")
    what: str = Field(description="for people")
    license: str = Field(description="as its publisher states it")
    hub: str = Field(
        default="", description="repository on the model hub; of a served id it is the id itself"
    )
    files: tuple[str, ...] = Field(
        default=(), description="patterns of the files to take; empty: all that can change an answer"
    )
    url: str = Field(default="", pattern="^(https://.+)?$", description="of a file that is on no hub")
    md5: str = Field(default="", pattern="^([0-9a-f]{32})?$", description="published for that file")
    gated: bool = Field(
        default=False, description="the hub hands it out only to those who accepted its license"
    )
    gb: float = Field(default=0.0, ge=0, description="size on disk, GB; 0: not known")

    @property
    def repository(self) -> str:
        """On the model hub, or ``""``: a served id is the name of its repository."""
        return self.hub or ("" if self.url or "/" not in self.name else self.name)

    @property
    def source(self) -> str:
        """Where it comes from: repository or address."""
        return self.repository or self.url

    @model_validator(mode="after")
    def _one_source(self) -> KnownModel:
        if bool(self.hub) + bool(self.url) + ("/" in self.name) != 1:
            msg = (
                f"{self.name}: expected hub, url or the id of a repository as its name, and one of them alone"
            )
            raise ValueError(msg)
        return self


@cache
def known_models() -> Mapping[str, KnownModel]:
    """All entries by name; those with the id of a repository also by its last part, as a folder of weights is called.

    Raises:
        ValueError: an entry is not as it should be, or two have one name; a mistake in the file.
    """
    text = (resources.files("tasks.backends") / "known_models.yaml").read_text(encoding="utf-8")
    found: dict[str, KnownModel] = {}
    for model in TypeAdapter(tuple[KnownModel, ...]).validate_python(yaml.safe_load(text)):
        for name in {model.name, PurePosixPath(model.name).name}:
            if name in found:
                msg = f"known_models.yaml: {name} is listed twice"
                raise ValueError(msg)
            found[name] = model
    return found


def known_model(name: str) -> KnownModel | None:
    """The entry of a weights path (by its last part) or of a served id; None if it is not listed."""
    table = known_models()
    return table.get(name) or table.get(PurePosixPath(name).name)
