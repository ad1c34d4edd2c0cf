"""Editing jobs of a batch: read from a manifest or a folder, results written by key."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from intercog_model.inference.chain import ChainResult

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One picture and what to do with it."""

    key: str
    image: Path
    instruction: str


def read_jobs(source: Path) -> Iterator[Job]:
    """Jobs of a folder (each picture with a .txt of the same name) or of a manifest.

    A manifest is JSON lines with `key`, `image` (a path, relative to the manifest) and `instruction`.
    Raises ValueError, naming the entry, for a picture without instruction or a line without a field.
    """
    if source.is_dir():
        for image in sorted(p for p in source.iterdir() if p.suffix.lower() in SUFFIXES):
            text = image.with_suffix(".txt")
            if not text.is_file():
                raise ValueError(f"{image.name}: no {text.name} with its instruction")
            yield Job(key=image.stem, image=image, instruction=text.read_text().strip())
        return
    for number, line in enumerate(source.read_text().splitlines(), 1):
        if not line.strip():
            continue
        entry = json.loads(line)
        missing = [name for name in ("key", "image", "instruction") if name not in entry]
        if missing:
            raise ValueError(f"{source.name}, line {number}: no {', '.join(missing)}")
        key = str(entry["key"])
        if not key or Path(key).name != key:
            raise ValueError(f"{source.name}, line {number}: the key {key!r} is no file name")
        yield Job(key=key, image=source.parent / entry["image"], instruction=entry["instruction"])


def write_chain(result: ChainResult, folder: Path, key: str) -> None:
    """`<key>.t1.txt`, `<key>.grounded.png`, `<key>.t2.txt`, and last `<key>.edited.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{key}.t1.txt").write_text(result.first_text)
    (folder / f"{key}.t2.txt").write_text(result.second_text)
    if result.grounded is not None:
        result.grounded.save(folder / f"{key}.grounded.png")
    save_last(result.edited, folder / f"{key}.edited.png")


def save_last(picture: Image.Image, path: Path) -> None:
    """Save under a temporary name, then rename: the file's existence means the job is done."""
    temporary = path.with_suffix(".part")
    picture.save(temporary, format="PNG")
    temporary.replace(path)
