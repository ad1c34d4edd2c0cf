"""`python -m intercog_model.cache_features`: SAM's image features of every sample of a release, once."""

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from intercog_model.data.example import GroundingExample
from intercog_model.data.shards import BrokenSample, open_uri, read_shard, release_shards
from intercog_model.errors import ConfigurationError
from intercog_model.grounding.features import ImageFeatures, SamFeatures, read_sam
from intercog_model.inference.option_checks import make_folder
from intercog_model.packing.resize import VAE_RULE, SizeRule, resize


def write_features(release: str, provider: ImageFeatures, folder: Path, rule: SizeRule = VAE_RULE) -> int:
    """Write `<key>.safetensors` (float16, [C, g, g]) for the train split; how many were new.

    Pictures are resized as in training, so that cached and computed features are the same.
    """
    shards = release_shards(release)
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


def main(arguments: list[str] | None = None) -> int:
    """0 when every readable sample has its file, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m intercog_model.cache_features", description=__doc__)
    parser.add_argument("release", help="folder or object-store prefix of a GroundEdit release")
    parser.add_argument("--sam", type=Path, required=True, help="safetensors file of SAM ViT-H")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        release_shards(options.release)  # before the weights are read
        make_folder(options.out)
        provider = SamFeatures(read_sam(options.sam, f"--sam {options.sam}"), device, torch.float32)
        print(f"{write_features(options.release, provider, options.out)} files written")
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
