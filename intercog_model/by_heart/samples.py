"""The samples that a tiny model learns by heart: which ones, and the small release that they make."""

import io
import json
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from intercog_model.data.example import GroundingExample
from intercog_model.data.shards import BrokenSample, open_uri, read_shard, release_shards
from intercog_model.errors import ConfigurationError
from intercog_model.grounding.placement import coverage, valid_size

SIDE = (
    128  # of the stored pictures; the run sees 32, and decoding full ones at every step would take most of it
)
SHARD = "train-000000.tar"


def examples_of(release: str) -> Iterator[tuple[str, GroundingExample]]:
    """URI of the shard and sample, for every readable sample of a release's train split."""
    for uri in release_shards(release):
        with open_uri(uri) as stream:
            for item in read_shard(stream, "grounding", uri):
                if isinstance(item, BrokenSample):
                    print(f"{item.key}: left out, {item.reason}")
                elif isinstance(item, GroundingExample):
                    yield uri, item


def choose(examples: Sequence[GroundingExample], count: int) -> list[GroundingExample]:
    """Photographs with most targets first, each target once before any comes twice.

    A photograph with several targets has several masks, so that its features alone do not tell which is meant.
    Raises ConfigurationError where there are fewer, or no photograph has several.
    """
    groups: dict[str, list[GroundingExample]] = defaultdict(list)
    for example in examples:
        groups[photograph(example)].append(example)
    ordered = sorted(groups.values(), key=lambda group: -len({target(e) for e in group}))
    first, again = list[GroundingExample](), list[GroundingExample]()
    for group in ordered:
        seen = set[str]()
        for example in group:
            (again if target(example) in seen else first).append(example)
            seen.add(target(example))
    chosen = (first + again)[:count]
    if len(chosen) < count:
        raise ConfigurationError(f"{len(chosen)} samples, {count} were asked for")
    if len({target(e) for e in chosen}) == len({photograph(e) for e in chosen}):
        raise ConfigurationError("no photograph with two targets, whose instructions the exam swaps")
    return chosen


def photograph(example: GroundingExample) -> str:
    """Id of the photograph in a key `<sid>-t0-p0`."""
    return example.key.partition("-")[0]


def target(example: GroundingExample) -> str:
    """Photograph and target of a key."""
    return example.key.rpartition("-")[0]


def write_small_release(release: str, count: int, folder: Path) -> None:
    """A release of one train shard in `folder`: the chosen samples, their pictures and masks `SIDE` pixels long.

    Raises ConfigurationError where the release has fewer samples.
    """
    found = list(examples_of(release))
    try:
        chosen = {e.key for e in choose([example for _, example in found], count)}
    except ConfigurationError as error:
        raise ConfigurationError(f"{release}: {error}") from error
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / SHARD, "w", format=tarfile.USTAR_FORMAT) as tar:
        for uri in dict.fromkeys(uri for uri, _ in found):
            texts = _texts_of(uri, chosen)
            for where, example in found:
                if where == uri and example.key in chosen:
                    _add(tar, example, texts[example.key])
    (folder / "MANIFEST.json").write_text(json.dumps({"shards": [{"name": SHARD, "split": "train"}]}))


def _texts_of(uri: str, keys: set[str]) -> dict[str, bytes]:
    """The JSON members of some samples of a shard, by key."""
    with open_uri(uri) as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
        found = dict[str, bytes]()
        for entry in tar:
            key, _, member = Path(entry.name).name.partition(".")
            content = tar.extractfile(entry) if member == "json" and key in keys else None
            if content is not None:
                found[key] = content.read()
        return found


def _add(tar: tarfile.TarFile, example: GroundingExample, text: bytes) -> None:
    mask = torch.from_numpy(example.mask)
    rows, columns = valid_size(mask.shape[0], mask.shape[1], SIDE)
    small = (coverage(mask, rows, columns) >= 0.5).numpy()

    def picture(image: Image.Image, kind: str) -> bytes:
        data = io.BytesIO()
        image.convert("RGB").resize((columns, rows), Image.Resampling.BICUBIC).save(data, kind, quality=95)
        return data.getvalue()

    marked = io.BytesIO()
    Image.fromarray(small.astype(np.uint8) * 255).save(marked, "PNG")
    members = {
        "edited.png": picture(example.edited, "PNG"),
        "grounded.jpg": picture(example.grounded, "JPEG"),
        "json": text,
        "mask.png": marked.getvalue(),
        "source.jpg": picture(example.source, "JPEG"),
    }
    for name, data in members.items():
        entry = tarfile.TarInfo(f"{example.key}.{name}")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
