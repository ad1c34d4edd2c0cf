"""Reading one shard of any kind, by sample: broken samples are named, a wrong schema version stops the run."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Literal, Self

import numpy as np
from PIL import Image

from intercog_model.data.chain_text import Sections
from intercog_model.data.example import (
    CaptionExample,
    EditExample,
    Example,
    GroundingExample,
    TextToImageExample,
    UnderstandingExample,
)
from intercog_model.data.pictures import open_picture
from intercog_model.errors import ConfigurationError
from intercog_model.packing.resize import to_rgb

IMAGES = ("jpg", "jpeg", "png", "webp")
Kind = Literal["grounding", "edit", "text_to_image", "understanding", "captions"]
Split = Literal["train", "validation", "both"]


class WrongSchemaVersionError(ConfigurationError):
    """A shard was written by another version of the format: nothing of it may be trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenSample:
    """A sample that could not be read, and why."""

    key: str
    reason: str


Members = Mapping[str, bytes]


class _CheckedHeader(tarfile.TarInfo):
    """A header that is missing or damaged is a fault; `tarfile` takes all but the first for the tar's end."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        """The next header; raises ReadError where there is neither one nor the end mark."""
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the end mark; not in typeshed
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


def read_shard(stream: IO[bytes], kind: Kind, shard: str = "shard") -> Iterator[Example | BrokenSample]:
    """Samples of a shard in the order of the tar; `kind` is one of `KINDS`, `shard` names it where it is cut.

    What follows a cut is one broken sample more, by the name of the shard. All of it is a function of the bytes,
    so that a resumed run and every rank read the same from the same file.
    """
    for raw in _raw_samples(stream, shard):
        yield raw if isinstance(raw, BrokenSample) else _judged(kind, *raw)


def read_split(
    release: str, split: Split, count: int, wanted: Callable[[int], bool]
) -> Iterator[Example | BrokenSample | None]:
    """The first `count` samples of a release's split, in the order of its shards; None for those not `wanted`.

    `wanted` is asked for a sample's number; the pictures of the others are not decoded.
    """
    shards = list_shards(release, "grounding", split)
    raw = chain.from_iterable(_raw_samples(open_uri(shard), shard) for shard in shards)
    for number, sample in enumerate(islice(raw, count)):
        if not wanted(number):
            yield None
        else:
            yield sample if isinstance(sample, BrokenSample) else _judged("grounding", *sample)


def _judged(kind: Kind, key: str, members: Members) -> Example | BrokenSample:
    try:
        return KINDS[kind](key, members)
    except WrongSchemaVersionError:
        raise
    except (ValueError, KeyError) as error:
        return BrokenSample(key=key, reason=f"{type(error).__name__}: {error}")


def _raw_samples(stream: IO[bytes], shard: str) -> Iterator[tuple[str, Members] | BrokenSample]:
    with closing(stream):
        try:
            with tarfile.open(fileobj=stream, mode="r|*", tarinfo=_CheckedHeader) as tar:
                yield from _samples(tar)
        except tarfile.ReadError as error:
            yield BrokenSample(
                key=shard.rpartition("/")[2], reason=f"the tar {shard} is cut or damaged: {error}"
            )


def _samples(tar: tarfile.TarFile) -> Iterator[tuple[str, Members]]:
    key, folder, members = "", Path(), dict[str, bytes]()
    try:
        for entry in tar:
            if not entry.isfile():
                continue
            path = Path(_printable(entry.name))
            name, _, member = path.name.partition(".")
            if members and (path.parent, name) != (folder, key):
                yield key, members
                members = {}
            folder, key = path.parent, name
            content = tar.extractfile(entry)
            members[member] = content.read() if content else b""
    except tarfile.ReadError:
        # the sample in hand may be whole: its reader tells
        if members:
            yield key, members
        raise
    if members:
        yield key, members


def _printable(name: str) -> str:
    """A member's name with bytes that are no UTF-8 spelled out: keys are hashed, logged and shown."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def read_grounding(key: str, members: Members) -> GroundingExample:
    """A sample of a GroundEdit release; its JSON is checked by the format's own reader."""
    from tasks.publishing.shard_format import read_sample  # noqa: PLC0415
    from tasks.records.errors import DataFault  # noqa: PLC0415 - only those who read releases need the pipeline's records
    from tasks.records.records import SCHEMA_VERSIONS  # noqa: PLC0415

    version = _fields(members).get("schema_version")
    if version not in SCHEMA_VERSIONS:
        known = ", ".join(map(str, SCHEMA_VERSIONS))
        raise WrongSchemaVersionError(f"{key}: schema_version {version!r}, this code knows {known}")
    try:
        sample = read_sample(key, members)
    except DataFault as error:
        raise ValueError(str(error)) from error
    source = _picture(sample.source_jpg)
    mask = np.array(open_picture(io.BytesIO(sample.mask_png)).convert("L")) > 127
    grounded, edited = _picture(sample.grounded_jpg), _picture(sample.edited_png)
    sizes = {source.size, grounded.size, edited.size, mask.shape[::-1]}
    if len(sizes) > 1:
        raise ValueError(f"pictures of different sizes {sorted(sizes)}")
    cot = sample.meta.cot
    return GroundingExample(
        key=key,
        source=source,
        instruction=sample.meta.instruction,
        sections=Sections(
            scene=cot.scene_description,
            target=cot.target_localization,
            edit=cot.editing_description,
            result=cot.post_edit_description,
        ),
        grounded=grounded,
        mask=mask,
        edited=edited,
    )


def read_edit(key: str, members: Members) -> EditExample:
    """`source.<image>`, `edited.<image>`, `json` with `instruction`."""
    return EditExample(
        key=key,
        source=_picture(_image_member(members, "source")),
        instruction=_text(members, "instruction"),
        edited=_picture(_image_member(members, "edited")),
    )


def read_text_to_image(key: str, members: Members) -> TextToImageExample:
    """`image.<image>`, `json` with `caption`."""
    return TextToImageExample(
        key=key, caption=_text(members, "caption"), image=_picture(_image_member(members, "image"))
    )


def read_understanding(key: str, members: Members) -> UnderstandingExample:
    """`image.<image>`, `json` with `question` and `answer`."""
    return UnderstandingExample(
        key=key,
        image=_picture(_image_member(members, "image")),
        question=_text(members, "question"),
        answer=_text(members, "answer"),
    )


def read_captions(key: str, members: Members) -> CaptionExample:
    """The members that img2dataset writes: `<image>`, `txt` with the caption, or `json` with `caption`."""
    image = next((members[suffix] for suffix in IMAGES if suffix in members), None)
    if image is None:
        raise ValueError(f"no member {', '.join(IMAGES)}")
    caption = members["txt"].decode().strip() if "txt" in members else _text(members, "caption")
    if not caption:
        raise ValueError("its caption is empty")
    return CaptionExample(key=key, image=_picture(image), caption=caption)


KINDS: dict[Kind, Callable[[str, Members], Example]] = {
    "grounding": read_grounding,
    "edit": read_edit,
    "text_to_image": read_text_to_image,
    "understanding": read_understanding,
    "captions": read_captions,
}


def _image_member(members: Members, stem: str) -> bytes:
    for suffix in IMAGES:
        if f"{stem}.{suffix}" in members:
            return members[f"{stem}.{suffix}"]
    raise ValueError(f"no member {stem} with one of the suffixes {', '.join(IMAGES)}")


def _fields(members: Members) -> dict[str, Any]:
    """The JSON object of a sample; ValueError for anything else."""
    if "json" not in members:
        raise ValueError("no member json")
    try:
        tree = json.loads(members["json"])
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error
    if not isinstance(tree, dict):
        raise ValueError(f"its JSON is no object but {type(tree).__name__}")  # noqa: TRY004 - data, no argument
    return tree


def _text(members: Members, field: str) -> str:
    value = _fields(members).get(field)
    if not isinstance(value, str) or not value:
        raise ValueError(f"its JSON has no text {field!r}")
    return value


def _picture(data: bytes) -> Image.Image:
    image = open_picture(io.BytesIO(data))
    return to_rgb(image) if image.mode not in ("RGB", "RGBA", "LA", "P") else image


def list_shards(uri: str, kind: Kind, split: Split = "train") -> list[str]:
    """URIs of the shards of a source, sorted: those of a release's split, or every .tar of a folder.

    Raises OSError or ValueError where there are none.
    """
    base = uri.rstrip("/")
    splits = ("train", "validation") if split == "both" else (split,)
    if kind == "grounding":
        try:
            listed = json.loads(read_uri(f"{base}/MANIFEST.json"))["shards"]
            names = [shard["name"] for shard in listed if shard["split"] in splits]
        except (KeyError, TypeError) as error:
            raise ValueError("MANIFEST.json is none of a release") from error
    else:
        names = list(sizes_of_tars(base))
    if not names:
        raise ValueError(f"no shards of the split {split!r}" if kind == "grounding" else "no shards")
    return sorted(f"{base}/{name}" for name in names)


def sizes_of_tars(uri: str) -> dict[str, int]:
    """Bytes of every .tar of a folder or object-store prefix, by name; raises OSError where none can be listed."""
    base = uri.rstrip("/")
    if "://" not in base:
        return {path.name: path.stat().st_size for path in Path(base).glob("*.tar")}
    from obstore.store import from_url  # noqa: PLC0415 - only remote sources need it

    with _remote_faults():
        entries = [entry for part in from_url(base).list() for entry in part]
    return {entry["path"]: entry["size"] for entry in entries if entry["path"].endswith(".tar")}


def release_shards(release: str, split: Split = "train") -> list[str]:
    """URIs of the shards of a release's split; ConfigurationError where there are none."""
    try:
        return list_shards(release, "grounding", split)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{release}: no release: {error}") from error


def open_uri(uri: str) -> IO[bytes]:
    """A local file, or a remote object fetched whole."""
    if "://" not in uri:
        return Path(uri).open("rb")
    from obstore import get  # noqa: PLC0415 - only remote sources need it
    from obstore.store import from_url  # noqa: PLC0415

    base, _, name = uri.rpartition("/")
    with _remote_faults():
        return io.BytesIO(bytes(get(from_url(base), name).bytes()))


def read_uri(uri: str) -> bytes:
    """The bytes of a small file or object; raises OSError."""
    with closing(open_uri(uri)) as stream:
        return stream.read()


@contextmanager
def _remote_faults() -> Iterator[None]:
    """What an object store refuses as an OSError of one line: the library adds a dump of its own state."""
    from obstore.exceptions import BaseError  # noqa: PLC0415 - only remote sources need it

    try:
        yield
    except BaseError as error:
        raise OSError(str(error).strip().partition("\n")[0]) from error
