"""What a run reads, and the digests that tell it apart wherever it lies: weights, image features, sources, texts."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intercog_model.checkpoint import MODEL_FILE, VAE_FILE
from intercog_model.data.chain_text import CLOSE, GROUNDING_PROMPT, HEADINGS, OPEN
from intercog_model.data.mixture import SourceConfig, used_sources
from intercog_model.data.shards import read_uri, release_shards, sizes_of_tars
from intercog_model.errors import ConfigurationError
from intercog_model.training.checkpoint_folder import require_location
from intercog_model.training.config import TrainConfig
from intercog_model.training.wandb_run import require_wandb

FEATURES_FILE = "features.json"
"""In a folder of cached image features: what they were computed from."""

MODEL_FILES = (MODEL_FILE, VAE_FILE, "llm_config.json", "vit_config.json", "tokenizer.json")


def reads_features(config: TrainConfig) -> bool:
    """Whether a loss needs image features, and with them the weights of SAM."""
    grounded = any(source.kind == "grounding" and source.weight > 0 for source in config.sources)
    return grounded and config.grounding.weight_mask > 0


def require_inputs(config: TrainConfig) -> None:
    """Raise ConfigurationError for a file, folder or address that is needed and not there."""
    model, out = config.model, config.run.out
    if not out.strip() or "\0" in out:
        raise ConfigurationError(f"run.out: {out!r}, should be a folder, which no other run uses")
    require_wandb(config.run.wandb)
    require_location(config.run.place_of_checkpoints, "run.checkpoints")
    if model.flavor == "released" and not model.checkpoint:
        raise ConfigurationError("model.checkpoint: '', should be a folder for the released flavor")
    if model.checkpoint and not Path(model.checkpoint).is_dir():
        raise ConfigurationError(f"model.checkpoint: {model.checkpoint!r}, should be a folder")
    if reads_features(config):
        _require_features(config)
    used = used_sources(config.sources)
    if without := [source.name for source in used if not source.uri]:
        raise ConfigurationError(
            f"sources: {', '.join(without)}: uri '', should be a folder or an address in an object store; "
            "weight = 0 leaves a source out"
        )
    for source in used:
        source_digest(source)
    if config.validation.every:
        validation_releases(config)


def validation_releases(config: TrainConfig) -> list[str]:
    """Releases whose train split alone is trained on, and which have a validation split.

    Raises:
        ConfigurationError: there is none.
    """
    faults = ["no source is a release of which split 'train' alone is trained on"]
    found = list[str]()
    for source in config.sources:
        if source.kind == "grounding" and source.weight > 0 and source.split == "train":
            try:
                release_shards(source.uri, "validation")
                found.append(source.uri)
            except ConfigurationError as error:
                faults = [f"source {source.name!r}: {error}"]
    if not found:
        raise ConfigurationError(f"validation.every: {config.validation.every}, should be 0: {faults[-1]}")
    return found


def _require_features(config: TrainConfig) -> None:
    model = config.model
    if model.features == "sam" and not model.sam:
        raise ConfigurationError("model.sam: '', should be a file for model.features 'sam'")
    if model.sam and not Path(model.sam).is_file():
        raise ConfigurationError(f"model.sam: {model.sam!r}, should be a file")
    if model.features == "cached" and not Path(model.features_folder or "?").is_dir():
        raise ConfigurationError(
            f"model.features_folder: {model.features_folder!r}, should be a folder; "
            "intercog_model.cache_features writes one"
        )


@dataclass(slots=True)
class KnownDigests:
    """SHA-256 of local files; one that has kept size and time since it was last read is not read again."""

    known: dict[str, dict[str, Any]]  # path -> size, time, sha256

    def of(self, path: Path) -> str:
        """Digest of a file; OSError where it cannot be read."""
        state = path.stat()
        facts = {"size": state.st_size, "time": state.st_mtime_ns}
        name = str(path.resolve())
        last = self.known.get(name, {})
        if {key: last.get(key) for key in facts} != facts:
            with path.open("rb") as file:
                self.known[name] = facts | {"sha256": hashlib.file_digest(file, "sha256").hexdigest()}
        digest: str = self.known[name]["sha256"]
        return digest


def digests(config: TrainConfig, files: KnownDigests) -> dict[str, str]:
    """Digest of everything that decides the run's results and is no key, by a name like a key's.

    Of a release it is its manifest's, which holds those of its shards; of other sources that of the names and sizes of
    their tars.

    Raises:
        ConfigurationError: something cannot be read.
    """
    model, found = config.model, {"texts.sha256": _texts()}
    try:
        if model.checkpoint:
            folder = Path(model.checkpoint)
            parts = {name: files.of(folder / name) for name in MODEL_FILES if (folder / name).is_file()}
            found["model.checkpoint.sha256"] = _digest(parts)
        if reads_features(config):
            if model.sam:
                found["model.sam.sha256"] = files.of(Path(model.sam))
            if model.features == "cached":
                found["model.features_folder.sha256"] = _features_digest(Path(model.features_folder))
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror}") from error
    digests_of_sources = {f"sources.{s.name}.sha256": source_digest(s) for s in used_sources(config.sources)}
    return found | digests_of_sources


def source_digest(source: SourceConfig) -> str:
    """Digest of a source's contents, the same wherever it lies; ConfigurationError where it cannot be read."""
    try:
        if source.kind == "grounding":
            manifest = read_uri(f"{source.uri.rstrip('/')}/MANIFEST.json")
            return hashlib.sha256(manifest).hexdigest()
        return _digest(sizes_of_tars(source.uri))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"uri {source.uri!r} of source {source.name!r}: {error}") from error


def _features_digest(folder: Path) -> str:
    path = folder / FEATURES_FILE
    if not path.is_file():
        raise ConfigurationError(
            f"model.features_folder: {str(folder)!r}: no {FEATURES_FILE}, which intercog_model.cache_features "
            "writes when all features are there"
        )
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _texts() -> str:
    """Of the texts that every chain is made with."""
    return _digest({"system prompt": GROUNDING_PROMPT, "headings": HEADINGS, "tags": [OPEN, CLOSE]})


def _digest(tree: Any) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()
