"""`python -m intercog_model.cache_features`: SAM's image features of every sample of a release, once."""

import argparse
import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from intercog_model.data.example import GroundingExample
from intercog_model.data.shards import BrokenSample, open_uri, read_shard, release_shards
from intercog_model.errors import ConfigurationError
from intercog_model.grounding.features import ImageFeatures, SamFeatures, read_sam
from intercog_model.inference.option_checks import make_folder
from intercog_model.packing.resize import VAE_RULE, SizeRule, resize
from intercog_model.training.inputs import FEATURES_FILE


def write_features(release: str, provider: ImageFeatures, folder: Path, rule: SizeRule = VAE_RULE) -> int:
    """Write `<key>.safetensors` (float16, [C, g, g]) for the train split; how many were new.

    Pictures are resized as in training, so that cached and computed features are the same.
    """
    shards = release_shards(release, "both")
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for uri in shards:
        with open_uri(uri) as stream:
            for item in read_shard(stream, "grounding", uri):
                if isinstance(item, BrokenSample):
                    print(f"{item.key}: left out, {item.reason}")
                if not isinstance(item, GroundingExample):
                    continue
                path = folder / f"{item.key}.safetensors"
                if path.exists():
                    continue
                features = provider.features(item.key, resize(item.source, rule))
                temporary = path.with_suffix(".part")
                save_file({"features": features.half().cpu().contiguous()}, temporary)
                temporary.replace(path)
                written += 1
    return written


def write_origin(folder: Path, sam: str, rule: SizeRule = VAE_RULE) -> None:
    """Write what the features of a folder were computed from; runs tell features apart by this file."""
    (folder / FEATURES_FILE).write_text(json.dumps(_origin(sam, rule), indent=1))


def require_same_origin(folder: Path, sam: str, rule: SizeRule = VAE_RULE) -> None:
    """Raise ConfigurationError where a folder's features were computed from something else."""
    path = folder / FEATURES_FILE
    if path.is_file() and json.loads(path.read_text()) != json.loads(json.dumps(_origin(sam, rule))):
        raise ConfigurationError(f"--out {folder}: has features of another SAM file or size rule")


def _origin(sam: str, rule: SizeRule) -> dict[str, object]:
    return {"sam_sha256": sam, "size_rule": asdict(rule), "stored_as": "float16"}


def main(arguments: list[str] | None = None) -> int:
    """0 when every readable sample has its file, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m intercog_model.cache_features", description=__doc__)
    parser.add_argument("release", help="folder or object-store prefix of a GroundEdit release")
    parser.add_argument("--sam", type=Path, required=True, help="safetensors file of SAM ViT-H")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        release_shards(options.release, "both")  # before the weights are read
        make_folder(options.out)
        provider = SamFeatures(read_sam(options.sam, f"--sam {options.sam}"), device, torch.float32)
        with options.sam.open("rb") as file:
            sam = hashlib.file_digest(file, "sha256").hexdigest()
        require_same_origin(options.out, sam)
        print(f"{write_features(options.release, provider, options.out)} files written")
        write_origin(options.out, sam)
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
