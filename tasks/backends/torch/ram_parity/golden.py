"""A folder of golden numbers: what it says, and its tensors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tasks.backends.torch.ram.loading import network_of, rename
from tasks.backends.torch.ram.network import RamNetwork
from tasks.records.errors import ConfigurationError, ModelUnavailable

Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]
M = TypeVar("M", bound=BaseModel)


class _Stated(BaseModel):
    """A part of a JSON file; what is said beyond these fields is for people."""

    model_config = ConfigDict(frozen=True)


class Tolerance(_Stated):
    """Allowed is ``atol + rtol · |stored|``."""

    rtol: Share
    atol: Share


class Tolerances(_Stated):
    """By kind of tensor; integers are exact."""

    floats: Tolerance = Field(alias="float tensors")
    gradients: Tolerance = Field(alias="role gradient")
    integers: Literal["exact"] = Field(default="exact", alias="integer tensors")


class SwinStated(_Stated):
    """Sizes of the backbone; flags have the one value that both published models have."""

    image_res: int
    window_size: int
    embed_dim: int
    depths: tuple[int, ...]
    num_heads: tuple[int, ...]
    vision_width: int
    patch_size: int = 4
    mlp_ratio: float = 4
    layer_norm_eps: float = 1e-5
    qkv_bias: Literal[True] = True
    patch_norm: Literal[True] = True
    absolute_position_embedding: Literal[False] = False


class HeadStated(_Stated):
    """Sizes of the tagging head."""

    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    encoder_width: int
    hidden_act: Literal["gelu (erf)", "gelu"] = "gelu"
    layer_norm_eps: float = 1e-12


class SizesStated(_Stated):
    """Sizes of a network."""

    swin: SwinStated
    tagging_head: HeadStated
    num_class: int
    descriptions_per_class: int
    embedding_width: int | None = None


class TensorStated(_Stated):
    """One stored tensor; its role is input, intermediate, output or gradient."""

    role: str
    shape: tuple[int, ...]


class Extra(BaseModel):
    """Words that go with the numbers; each list of tags stands for one picture, joined by `` | ``."""

    model_config = ConfigDict(frozen=True, extra="allow")

    tag_names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    open_set_tag_names: tuple[str, ...] = ()
    open_set_tags: tuple[str, ...] = ()
    grad_norm_names: tuple[str, ...] = ()

    def tags_without(self) -> Iterator[tuple[frozenset[int], tuple[str, ...]]]:
        """Numbers of tags that were switched off, and the tags that were left."""
        for name, words in (self.model_extra or {}).items():
            match = re.fullmatch(r"tags_with_deleted_index((?:_\d+)+)", name)
            if match:
                yield frozenset(map(int, match[1].strip("_").split("_"))), tuple(words)


class Cases(_Stated):
    """``cases.json``."""

    config: SizesStated
    weights: dict[str, dict[str, tuple[int, ...]]]
    tolerance: Tolerances
    extra: Extra = Extra()
    files: dict[str, dict[str, TensorStated]]


class NamesStated(_Stated):
    """Names and shapes of all tensors: pattern, shape, and how many tensors it stands for."""

    tensors: int
    parameters: int
    names: tuple[tuple[str, tuple[int, ...], int], ...]


class FullSize(_Stated):
    """``full_size_names.json``."""

    model: NamesStated
    sizes: SizesStated


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """A folder that was read.

    Attributes:
        weights: under the published names, buffers included.
        tensors: by file, then by name.
        full_size: None where the folder does not hold ``full_size_names.json``.
    """

    folder: Path
    cases: Cases
    weights: Mapping[str, Tensor]
    tensors: Mapping[str, Mapping[str, Tensor]]
    full_size: FullSize | None

    def network(self) -> RamNetwork:
        """The network of the weights, made by the code that loads checkpoints.

        Raises:
            ConfigurationError: the weights are not those of such a network, or the folder states other sizes.
        """
        stated = self.cases.config
        try:
            return network_of(
                self.weights,
                self.folder,
                image=stated.swin.image_res,
                tags=stated.num_class,
                reweighted="reweight_scale" in self.weights,
                decoder_heads=stated.tagging_head.num_attention_heads,
                swin_eps=stated.swin.layer_norm_eps,
                decoder_eps=stated.tagging_head.layer_norm_eps,
            )
        except ModelUnavailable as error:
            raise ConfigurationError(str(error)) from error

    def buffers(self) -> Mapping[str, Tensor]:
        """Masks and indices that the folder holds although they follow from the sizes."""
        return rename(self.weights, self.folder)[1]


def read_golden(folder: Path) -> Golden:
    """Reads a folder.

    Raises:
        ConfigurationError: a file is missing, damaged, or says something else than it should.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: no such folder")
    cases = _read_json(folder / "cases.json", Cases)
    weights: dict[str, Tensor] = {}
    for name in cases.weights:
        weights |= _read_tensors(folder / name)
    names = folder / "full_size_names.json"
    return Golden(
        folder=folder,
        cases=cases,
        weights=weights,
        tensors={name: _read_tensors(folder / name) for name in cases.files},
        full_size=_read_json(names, FullSize) if names.exists() else None,
    )


def _read_json(path: Path, model: type[M]) -> M:
    try:
        return model.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        item = error.errors()[0]
        where = ".".join(str(part) for part in item["loc"])
        raise ConfigurationError(f"{path}: {where}: {item['msg']}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: not JSON: {error}") from error


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        first = str(error).partition("\n")[0]
        raise ConfigurationError(f"{path}: not a file of tensors: {first}") from error
