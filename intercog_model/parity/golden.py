"""A golden folder: its settings, the model built from them, and access to its tensors by role."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import Bagel
from intercog_model.config import BagelConfig, LanguageConfig, SpecialTokens, VaeConfig, VitConfig
from intercog_model.parity.report import Report


def read_config(stored: dict[str, Any]) -> BagelConfig:
    """The `config` part of `cases.json` as our own record."""
    llm, vit, vae, bagel, ids = (stored[k] for k in ("llm", "vit", "vae", "bagel", "special_token_ids"))
    return BagelConfig(
        llm=LanguageConfig(**{name: llm[name] for name in LanguageConfig.__dataclass_fields__}),
        vit=VitConfig(**{name: vit[name] for name in VitConfig.__dataclass_fields__}),
        vae=VaeConfig(
            ch=vae["ch"],
            ch_mult=tuple(vae["ch_mult"]),
            num_res_blocks=vae["num_res_blocks"],
            z_channels=vae["z_channels"],
            scale_factor=vae["scale_factor"],
            shift_factor=vae["shift_factor"],
        ),
        tokens=SpecialTokens(
            text_start=ids["bos_token_id"],
            text_end=ids["eos_token_id"],
            image_start=ids["start_of_image"],
            image_end=ids["end_of_image"],
        ),
        latent_patch_size=bagel["latent_patch_size"],
        max_latent_size=bagel["max_latent_size"],
        timestep_features=stored["time_embedding_width"],
        interpolate_positions=bagel["interpolate_pos"],
    )


@dataclass(slots=True)
class GoldenFile:
    """One file of tensors; remembers which were compared or taken as inputs."""

    name: str
    tensors: dict[str, Tensor]
    cases: dict[str, dict[str, Any]]
    report: Report
    seen: set[str] = field(default_factory=set)

    def names(self, prefix: str) -> list[str]:
        """Tensor names that start with `prefix`, in the order of `cases.json`."""
        return [name for name in self.cases if name.startswith(prefix) and name in self.tensors]

    def take(self, name: str, *, draw: bool = False) -> Tensor:
        """An input; raises ValueError for a tensor that has to be computed, unless it is a random `draw`."""
        if self.cases[name]["role"] != "input" and not draw:
            raise ValueError(f"{self.name}: {name} has role {self.cases[name]['role']}, it may not be fed")
        if not draw:
            self.seen.add(name)
        return self.tensors[name]

    def check(self, name: str, ours: Tensor | list[int] | int, *, route: str = "") -> None:
        """Compare a computed value with the stored one."""
        self.seen.add(name)
        if name not in self.tensors:
            self.report.miss(f"{self.name}: {name}", "not stored")
            return
        stored = self.tensors[name]
        value = ours if isinstance(ours, Tensor) else torch.tensor(ours)
        value = value.reshape(stored.shape) if value.numel() == stored.numel() <= 1 else value
        self.report.compare(f"{self.name}: {name}", value, stored, self.cases[name]["role"], route)

    def close(self) -> None:
        """Every listed tensor must be there, have its listed form, and have been used."""
        for name in self.cases.keys() | self.tensors.keys():
            label = f"{self.name}: {name}"
            if name not in self.cases or name not in self.tensors:
                self.report.miss(label, "listed or stored, but not both")
                continue
            stored, case = self.tensors[name], self.cases[name]
            if list(stored.shape) != case["shape"] or str(stored.dtype) != f"torch.{case['dtype']}":
                self.report.miss(label, f"{case['dtype']} {case['shape']} listed, {stored.dtype} stored")
            if name not in self.seen:
                self.report.miss(label, "is not computed by any check")


class Golden:
    """The folder with its model; `report` collects what the checks find."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.report = Report()
        self.cases = json.loads((folder / "cases.json").read_text())
        self.extra = self.cases["extra"]
        self.stored_config = self.cases["config"]
        self.weights = _load_parts(folder, "model_weights")
        self.vae_weights = _load_parts(folder, "vae_weights")
        self.config: BagelConfig
        self.model: Bagel
        self.vae: AutoEncoder

    @property
    def training_shift(self) -> float:
        """Time shift in training."""
        return self.stored_config["bagel"]["timestep_shift"]

    def build(self) -> None:
        """Model and autoencoder with the folder's weights, in float32; ValueError when they do not fit."""
        self.config = read_config(self.stored_config)
        self.model, self.vae = Bagel(self.config), AutoEncoder(self.config.vae)
        own = {
            name: value.clone()
            for name, value in self.model.state_dict().items()
            if name.endswith("pos_embed")
        }
        for module, weights in ((self.model, self.weights), (self.vae, self.vae_weights)):
            try:
                module.load_state_dict(weights, strict=True)
            except RuntimeError as error:
                raise ValueError(f"weights do not fit the configuration: {error}") from error
        for name, table in own.items():
            # the tables are recomputed, and the stored ones only compared with them
            self.report.compare(f"model_weights.safetensors: {name}", table, self.weights[name], "weight")
        self.model.load_state_dict(own, strict=False)
        self.model.requires_grad_(True)
        self.vae.requires_grad_(False)

    def open(self, name: str) -> GoldenFile:
        """One of the files that `cases.json` lists."""
        return GoldenFile(name, load_file(self.folder / name), self.cases["files"][name], self.report)


def _load_parts(folder: Path, stem: str) -> dict[str, Tensor]:
    """All tensors of `stem.safetensors`, or of `stem-*.safetensors` where the file was split for its size."""
    parts = sorted([*folder.glob(f"{stem}.safetensors"), *folder.glob(f"{stem}-*.safetensors")])
    if not parts:
        raise FileNotFoundError(f"{folder / stem}.safetensors")
    return {name: value for part in parts for name, value in load_file(part).items()}
