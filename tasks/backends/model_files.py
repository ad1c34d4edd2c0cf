"""Which files of a model a configured backend needs, whether they are there, and what names their contents.

Looks at names, sizes and lock files; reads no weights and loads nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tasks.backends.assets import Asset, AssetCache, asset_table, default_cache_folder
from tasks.backends.known_models import known_models
from tasks.backends.torch.checkpoints import TorchOptions
from tasks.backends.weights import WEIGHT_SUFFIXES, WeightsLock, read_lock
from tasks.records.settings_base import Settings

TENSOR_SUFFIXES = (".safetensors", ".pt", ".pth")
"""Files that hold tensors, at least one of which a folder of weights must have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file or folder that an option of a backend names.

    Attributes:
        option: name of the option, or ``package`` for a packaged file.
        present: a file, or a folder with files of weights; of the weights themselves the kind that is loaded.
        gb: size, GB; 0 while it is not there.
        instead: what is there if it is of the other kind, for messages.
    """

    option: str
    path: Path
    present: bool
    gb: float
    instead: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedDigest:
    """What names the contents of weights: the options, or the lock file beside them.

    Attributes:
        weights: file or folder, as configured.
        option_digest, option_revision: as the options state them, or ``""``.
        lock: the lock file, or None.
    """

    weights: str
    option_digest: str
    option_revision: str
    lock: WeightsLock | None

    @property
    def digest(self) -> str:
        """SHA-256 over the files, ``""`` where nothing states it."""
        return self.option_digest or (self.lock.digest if self.lock else "")

    @property
    def revision(self) -> str:
        """Of the weights, ``""`` where nothing states it."""
        return self.option_revision or (self.lock.revision if self.lock else "")

    @property
    def origin(self) -> str:
        """Who states the digest: ``option``, ``lock`` or nobody (``""``)."""
        return "option" if self.option_digest else "lock" if self.lock else ""


def model_file(option: str, path: Path) -> ModelFile:
    """The state of one path."""
    sizes = [f.stat().st_size for f in _files_at(path)]
    return ModelFile(option=option, path=path, present=bool(sizes), gb=round(sum(sizes) / 1e9, 3))


def is_folder(place: str, model_id: str) -> bool:
    """Whether the place of a served model's weights is meant as a folder, and not as a repository of the hub."""
    known = known_models().get(place)
    return place not in ("", model_id) and (known is None or known.name != place)


def files_of(options: Settings) -> tuple[ModelFile, ...]:
    """Files that the options of a backend name, the weights first; none for a backend without its own weights."""
    if not isinstance(options, TorchOptions):
        return ()
    named = [(name, str(getattr(options, name))) for name in options.paths]
    files = (model_file(name, Path(path)) for name, path in named if path)
    return tuple(_of_kind(one, options.weights_are) if one.option == "weights" else one for one in files)


def _of_kind(one: ModelFile, wanted: str) -> ModelFile:
    """``one``, not present where the backend could not load what lies at its path."""
    if not one.path.exists():
        return one
    if wanted == "file":
        instead = "" if one.path.is_file() else "a folder; one file of tensors is expected"
    elif not one.path.is_dir():
        instead = "a file; a folder as transformers writes it is expected"
    else:
        tensors = any(f.suffix in TENSOR_SUFFIXES for f in _files_at(one.path))
        instead = "" if tensors else f"a folder without tensors ({', '.join(TENSOR_SUFFIXES)})"
    return replace(one, present=False, instead=instead) if instead else one


def packaged_files(digest: str) -> tuple[tuple[Asset, ModelFile], ...]:
    """The packaged files behind an identity's digest (``+`` joins several), in the cache or not."""
    digests, cache = digest.split("+"), AssetCache(default_cache_folder())
    found = []
    for asset in asset_table().values():
        if asset.digest in digests:
            for member in asset.members:
                path = cache.folder / "packages" / asset.folder_name / member
                found.append((asset, model_file("package", path)))
    return tuple(found)


def stated_digest(options: Settings) -> StatedDigest | None:
    """What the options or the lock file beside the weights state; None for a backend without its own weights.

    Raises:
        ConfigurationError: the lock file is damaged.
    """
    if not isinstance(options, TorchOptions):
        return None
    return StatedDigest(
        weights=options.weights,
        option_digest=options.digest,
        option_revision=options.revision,
        lock=read_lock(Path(options.weights)),
    )


def _files_at(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        return []
    return [f for f in sorted(path.iterdir()) if f.suffix in WEIGHT_SUFFIXES and f.is_file()]
