"""A golden folder: its settings, the model built from them, and access to its tensors by role."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import Bagel
from intercog_model.config import BagelConfig, LanguageConfig, SpecialTokens, VaeConfig, VitConfig
from intercog_model.parity.report import Report

PARTS = ("config", "weights", "tolerance", "extra", "files")


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
        if name not in self.cases or name not in self.tensors:
            raise ValueError(f"{self.name}: {name} is not listed or not stored")
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
        self.cases = _read_cases(folder / "cases.json", self.report)
        self.extra = self.cases["extra"]
        self.stored_config = self.cases["config"]
        # what the model is built from; `check_shapes` puts in what the weights imply where a value is of no use
        self.usable_config = self.stored_config
        self.unusable: set[str] = set()  # values that have to be found from stored numbers
        self.weights = _load_parts(folder, "model_weights", self.report)
        self.vae_weights = _load_parts(folder, "vae_weights", self.report)
        loaded = {name: _load(folder / name, self.report) for name in self.cases["files"]}
        self.tensors = {name: tensors for name, tensors in loaded.items() if tensors is not None}
        self.tables: dict[str, Tensor] = {}
        self.config: BagelConfig
        self.model: Bagel
        self.vae: AutoEncoder

    @contextmanager
    def guarding(self, name: str) -> Iterator[None]:
        """Turns what fails inside into a miss called `name`."""
        try:
            yield
        except Exception as error:  # a strange folder may fail anywhere; the other checks still run
            self.report.miss(name, f"could not be computed: {type(error).__name__}: {error}")

    @property
    def training_shift(self) -> float:
        """Time shift in training."""
        shift: float = self.usable_config["bagel"]["timestep_shift"]
        return shift

    def build(self) -> None:
        """Model and autoencoder with the folder's weights, in float32; ValueError when they do not fit."""
        self.config = read_config(self.usable_config)
        self.model, self.vae = Bagel(self.config), AutoEncoder(self.config.vae)
        self.tables = {
            name: value.clone()
            for name, value in self.model.state_dict().items()
            if name.endswith("pos_embed")
        }
        for module, weights in ((self.model, self.weights), (self.vae, self.vae_weights)):
            try:
                module.load_state_dict(weights, strict=True)
            except RuntimeError as error:
                raise ValueError(f"weights do not fit the configuration: {error}") from error
        self.model.load_state_dict(self.tables, strict=False)
        self.model.requires_grad_(True)
        self.vae.requires_grad_(False)

    def check_tables(self) -> None:
        """The position tables are recomputed, and the stored ones only compared with them."""
        for name, table in self.tables.items():
            self.report.compare(f"model_weights.safetensors: {name}", table, self.weights[name], "weight")

    def open(self, name: str) -> GoldenFile:
        """One of the files that `cases.json` lists; KeyError when it could not be read."""
        return GoldenFile(name, dict(self.tensors[name]), self.cases["files"][name], self.report)


def _read_cases(path: Path, report: Report) -> dict[str, Any]:
    """The five parts of `cases.json`, empty where they are missing; 64.0 is read as 64."""

    def number(text: str) -> float:
        value = float(text)
        return int(value) if value.is_integer() else value

    try:
        cases = json.loads(path.read_text(), parse_float=number)
    except (OSError, ValueError) as error:
        report.miss("cases.json", f"cannot be read: {error}")
        return {part: {} for part in PARTS}
    found = cases if isinstance(cases, dict) else {}
    for part in PARTS:
        if not isinstance(found.get(part), dict):
            report.miss(f"cases.json: {part}", "is missing or no table of names")
            found[part] = {}
    return found


def _load(path: Path, report: Report) -> dict[str, Tensor] | None:
    """Tensors of a file; None, and a miss, when it is cut short or not there."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        report.miss(path.name, f"cannot be read: {error}")
        return None


def _load_parts(folder: Path, stem: str, report: Report) -> dict[str, Tensor]:
    """All tensors of `stem.safetensors`, or of `stem-*.safetensors` where the file was split for its size."""
    whole = folder / f"{stem}.safetensors"
    parts = sorted([*folder.glob(whole.name), *folder.glob(f"{stem}-*.safetensors")])
    return {name: value for part in parts or [whole] for name, value in (_load(part, report) or {}).items()}
