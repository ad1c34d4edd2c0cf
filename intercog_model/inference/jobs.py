"""Editing jobs of a batch: read from a manifest or a folder, results written by key."""

import json
import os
from codecs import BOM_UTF8
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from intercog_model.errors import ConfigurationError
from intercog_model.inference.chain import ChainResult

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
MAX_KEY_BYTES = 200  # file systems take names of 255, endings included
LAST_FILES = {
    "text-to-image": "png",
    "understand": "txt",
}  # what a mode writes last, where it is no edited picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One picture and what to do with it."""

    key: str
    image: Path
    instruction: str


def read_jobs(source: Path) -> list[Job]:
    """Jobs of a folder (each picture with a .txt of the same name) or of a manifest.

    A manifest is JSON lines with `key`, `image` (a path, relative to the manifest) and `instruction`.
    Raises ConfigurationError, naming the entry, for all that is wrong but the pictures themselves: those are
    opened one by one, when it is their turn.
    """
    if not source.exists():
        raise ConfigurationError(f"--batch {source}: no such file or folder")
    jobs = _folder_jobs(source) if source.is_dir() else _manifest_jobs(source)
    if not jobs:
        raise ConfigurationError(f"--batch {source}: no {'pictures' if source.is_dir() else 'jobs'} in it")
    return jobs


def _folder_jobs(folder: Path) -> list[Job]:
    jobs = dict[str, Job]()
    for image in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
        text = image.with_suffix(".txt")
        if not text.is_file():
            raise ConfigurationError(
                f"--batch {folder}: {image.name} has no {text.name} with its instruction"
            )
        if image.stem in jobs:
            other = jobs[image.stem].image.name
            raise ConfigurationError(f"--batch {folder}: {other} and {image.name} would write the same files")
        jobs[image.stem] = Job(
            key=_fitting(image.stem, f"--batch {folder}: {image.name:.20}"),
            image=image,
            instruction=_decoded(text.read_bytes(), f"--batch {folder}: {text.name}").strip(),
        )
    return list(jobs.values())


def _manifest_jobs(manifest: Path) -> list[Job]:
    jobs, lines = list[Job](), dict[str, int]()
    for number, data in enumerate(manifest.read_bytes().removeprefix(BOM_UTF8).split(b"\n"), 1):
        where = f"--batch {manifest}, line {number}"
        line = _decoded(data, where)
        if not line.strip():
            continue
        job = _manifest_job(line, manifest.parent, where)
        if job.key in lines:
            raise ConfigurationError(f"{where}: the key {job.key!r} is that of line {lines[job.key]}")
        lines[job.key] = number
        jobs.append(job)
    return jobs


def _manifest_job(line: str, folder: Path, where: str) -> Job:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{where}: no JSON: {error}") from error
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{where}: {line.strip():.40} is no object")
    missing = [name for name in ("key", "image", "instruction") if name not in entry]
    if missing:
        raise ConfigurationError(f"{where}: no {', '.join(missing)}")
    for name in ("image", "instruction"):
        if not isinstance(entry[name], str):
            raise ConfigurationError(f"{where}: {name} {entry[name]!r} is no text")
    return Job(key=_key(entry["key"], where), image=folder / entry["image"], instruction=entry["instruction"])


def _key(value: Any, where: str) -> str:
    """A key as a file name; numbers are taken as they are written."""
    key = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not key or Path(key).name != key or key == ".." or "\0" in key:
        raise ConfigurationError(f"{where}: the key {value!r} is no file name")
    return _fitting(key, where)


def _fitting(key: str, where: str) -> str:
    """The key, if files that begin with it can be written."""
    try:
        length = len(os.fsencode(key))
    except UnicodeEncodeError as error:
        raise ConfigurationError(f"{where}: the key {key!r} is no text") from error
    if length > MAX_KEY_BYTES:
        raise ConfigurationError(f"{where}: the key {key:.20}… has {length} bytes, {MAX_KEY_BYTES} at most")
    return key


def _decoded(data: bytes, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{where}: no UTF-8 text") from error


def last_file(folder: Path, mode: str, key: str) -> Path:
    """The file that a job writes last, under a temporary name first: where it exists, the job is done."""
    return folder / f"{key}.{LAST_FILES.get(mode, 'edited.png')}"


def write_chain(result: ChainResult, folder: Path, key: str) -> None:
    """`<key>.t1.txt`, `<key>.grounded.png`, `<key>.t2.txt`, and last `<key>.edited.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{key}.t1.txt").write_text(result.first_text, encoding="utf-8")
    (folder / f"{key}.t2.txt").write_text(result.second_text, encoding="utf-8")
    if result.grounded is not None:
        result.grounded.save(folder / f"{key}.grounded.png")
    save_last(result.edited, folder / f"{key}.edited.png")


def save_last(picture: Image.Image, path: Path) -> None:
    """Save under a temporary name, then rename: the file's existence means the job is done."""
    temporary = path.with_suffix(".part")
    picture.save(temporary, format="PNG")
    temporary.replace(path)


def write_last(text: str, path: Path) -> None:
    """The same of a text."""
    temporary = path.with_suffix(".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
