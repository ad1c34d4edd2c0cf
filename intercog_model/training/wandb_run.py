"""A run's figures in Weights & Biases, where `run.wandb` names a project; the package is needed only then."""

import uuid
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from intercog_model.errors import ConfigurationError

ID_FILE = "wandb-id.txt"
"""In the run's folder: which run of Weights & Biases it is, so that a resumed run goes on in the same one."""


def require_wandb(project: str) -> None:
    """Raise ConfigurationError where a project is named and the package is not installed."""
    if project and find_spec("wandb") is None:
        raise ConfigurationError(
            f"run.wandb: {project!r}, should be '' unless the package wandb is installed"
        )


class WandbRun:
    """One run of Weights & Biases; `WANDB_MODE=offline` and the package's other variables work as they do anywhere.

    Args:
        project: under which the run appears.
        folder: of the run; the package's own files go to `wandb/` in it.
        config: the resolved configuration.

    Raises:
        ConfigurationError: the service refuses it, such as without a key to log in.
    """

    def __init__(self, project: str, folder: Path, config: dict[str, Any]) -> None:
        import wandb  # noqa: PLC0415 - optional

        self.wandb = wandb
        known = folder / ID_FILE
        if not known.exists():
            known.write_text(uuid.uuid4().hex[:16] + "\n", encoding="utf-8")
        try:
            self.run = wandb.init(
                project=project,
                id=known.read_text(encoding="utf-8").strip(),
                name=folder.resolve().name,
                dir=str(folder),
                config=config,
                resume="allow",
            )
        except wandb.Error as error:
            raise ConfigurationError(f"run.wandb: {project!r}: {error}") from error
        # its own counter takes no step twice, but a resumed run repeats those after its checkpoint
        self.run.define_metric("*", step_metric="step")

    def add(
        self, step: int, numbers: dict[str, float], pictures: dict[str, Image.Image] | None = None
    ) -> None:
        """Figures and pictures of a step, by name."""
        shown = {name: self.wandb.Image(np.asarray(each)) for name, each in (pictures or {}).items()}
        self.run.log({"step": step, **numbers, **shown})

    def close(self) -> None:
        """Wait until all is sent, or on disk where the run is offline."""
        self.run.finish()
