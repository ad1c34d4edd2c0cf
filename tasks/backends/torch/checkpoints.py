"""Checkpoints of torch backends: named by a stated digest, checked, read without running their code, loaded strictly.

A checkpoint is one file (``.pth``, ``.pt``, ``.safetensors``) or a folder as transformers writes it. The digest over
its files is stated once, by an option or by a lock file (`tasks.backends.weights`), so it is known without reading it.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from tasks.backends.weights import check_weights, lock_path, read_lock, weight_files
from tasks.records.errors import ConfigurationError, ModelUnavailable, Reason, SampleError
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings

if TYPE_CHECKING:
    import torch

IDLE = frozenset({"weights", "device"})
"""Options that change no result: the digest says which weights these are, wherever they lie."""


class TorchOptions(Settings):
    """Which weights, and where and in which type they compute. Classes give ``weights`` a default."""

    paths: ClassVar[tuple[str, ...]] = ("weights",)
    """Names of the options that say where a file or folder of the model lies, for `groundedit models check`."""

    weights_are: ClassVar[Literal["file", "folder"]] = "folder"
    """What ``weights`` names: one file of tensors, or a folder as transformers writes it."""

    weights: str = Field(description="file or folder of the checkpoint")
    revision: str = Field(default="", description="of the weights; empty: as the lock file states")
    digest: str = Field(
        default="",
        pattern="^([0-9a-f]{64})?$",
        description="SHA-256 over the lines 'name sha256' of the files; empty: as the lock file states",
    )
    device: str = Field(default="cuda", description="where it runs, as PyTorch names it")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="type of the weights in use"
    )

    @field_validator("weights")
    @classmethod
    def _some_weights(cls, weights: str) -> str:
        """Holds for classes that give the option a default of their own as well."""
        if not Path(weights).name:
            msg = "expected the path of a file or folder"
            raise ValueError(msg)
        return weights


def identity_of_weights(
    options: TorchOptions, *, role: str, backend: str, model: str, version: int
) -> ModelIdentity:
    """Names the model from the options or the lock file, without reading any weights.

    Args:
        options: of the backend.
        role: of the backend.
        backend: its name in the table of backends.
        model: what it is, for people.
        version: of the code around the weights.

    Raises:
        ConfigurationError: no digest is stated, or option and lock file state different ones.
    """
    path = Path(options.weights)
    lock = read_lock(path)
    where = f"{role} {backend}"
    if not options.digest and lock is None:
        ways = f"set the option digest or write {lock_path(path)} (groundedit models lock)"
        msg = f"{where}: no digest is stated for the weights in {path}; {ways}"
        raise ConfigurationError(msg)
    if options.digest and lock is not None and options.digest != lock.digest:
        msg = f"{where}: digest={options.digest!r} contradicts {lock_path(path)}, which states {lock.digest}"
        raise ConfigurationError(msg)
    revision = options.revision or (lock.revision if lock is not None else "unstated")
    return ModelIdentity(
        role=role,
        backend=backend,
        model=model,
        revision=f"{version}, weights {revision}",
        digest=options.digest or (lock.digest if lock is not None else ""),
    )


def checked_path(options: TorchOptions, digest: str) -> Path:
    """The checkpoint's path, after its files (`weight_files`) were compared with the stated digest.

    Args:
        options: of the backend.
        digest: as `identity_of_weights` states it.

    Raises:
        ModelUnavailable: a file is missing, or the digest is another.
    """
    path = Path(options.weights)
    folder = path.parent if path.is_file() else path
    check_weights(folder, weight_files(path), digest)
    return path


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a ``.safetensors`` file or of a pickled state dict (also one below the key ``model``), on the CPU.

    Pickled files are read with ``weights_only=True``: one that holds code is refused and its code is not run.

    Raises:
        ModelUnavailable: damaged, not a state dict, or it holds more than tensors.
    """
    import torch  # noqa: PLC0415 - heavy, and only these backends need it
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.torch import load_file  # noqa: PLC0415

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        first = str(error).strip().partition("\n")[0]
        raise ModelUnavailable(f"{path}: not a checkpoint of plain tensors: {first}") from error
    if isinstance(found, dict) and isinstance(found.get("model"), dict):
        found = found["model"]
    if not isinstance(found, dict) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise ModelUnavailable(f"{path}: expected tensors by name, or these below the key 'model'")
    return {str(name): tensor for name, tensor in found.items()}


def fill(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], source: Path) -> None:
    """Assigns tensors to all parameters and buffers of a module, which may be on the meta device.

    Raises:
        ModelUnavailable: a name is missing or not expected, or a shape differs; the message lists the first of them.
    """
    wanted = module.state_dict()
    problems = [f"missing {name} {list(wanted[name].shape)}" for name in wanted if name not in tensors]
    problems += [f"unexpected {name} {list(tensors[name].shape)}" for name in tensors if name not in wanted]
    problems += [
        f"{name} has shape {list(tensors[name].shape)}, expected {list(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    if problems:
        raise ModelUnavailable(f"{source}: {_first(problems)}")
    module.load_state_dict(dict(tensors), assign=True)


def load_pretrained(model_class: Any, folder: Path, dtype: str) -> Any:
    """A model of transformers from a local folder of safetensors, in evaluation mode; nothing is fetched.

    Args:
        model_class: a class with ``from_pretrained``.
        folder: as ``save_pretrained`` writes it.
        dtype: of the weights in use, as PyTorch names it.

    Raises:
        ModelUnavailable: the folder holds no such model, or names or shapes differ.
    """
    import torch  # noqa: PLC0415
    from safetensors import SafetensorError  # noqa: PLC0415

    try:
        model, info = model_class.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            local_files_only=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # reported below with all others, by name
            output_loading_info=True,
        )
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        first = str(error).strip().partition("\n")[0]
        raise ModelUnavailable(f"{folder}: cannot be loaded as {model_class.__name__}: {first}") from error
    problems = [f"missing {name}" for name in sorted(info["missing_keys"])]
    problems += [f"unexpected {name}" for name in sorted(info["unexpected_keys"])]
    problems += [
        f"{name} has shape {list(found)}, expected {list(wanted)}"
        for name, found, wanted in sorted(info["mismatched_keys"])
    ]
    if problems:
        raise ModelUnavailable(f"{folder}: {_first(problems)}")
    return model.eval()


def require_finite(values: torch.Tensor, what: str) -> None:
    """Checks an output before it becomes an answer.

    Raises:
        SampleError: ``backend_error`` for NaN or infinity; ``what`` names the values.
    """
    if not bool(values.isfinite().all()):
        raise SampleError(Reason.BACKEND_ERROR, f"{what} is not finite")


def _first(problems: Sequence[str], limit: int = 5) -> str:
    more = len(problems) - limit
    return "; ".join(problems[:limit]) + (f"; and {more} more" if more > 0 else "")
