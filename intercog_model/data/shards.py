"""Reading one shard of any kind, by sample: broken samples are named, a wrong schema version stops the run."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from intercog_model.data.chain_text import Sections
from intercog_model.data.example import (
    EditExample,
    Example,
    GroundingExample,
    TextToImageExample,
    UnderstandingExample,
)

IMAGES = ("jpg", "jpeg", "png", "webp")


class WrongSchemaVersionError(ValueError):
    """A shard was written by another version of the format: nothing of it may be trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenSample:
    """A sample that could not be read, and why."""

    key: str
    reason: str


Members = Mapping[str, bytes]


def read_shard(stream: IO[bytes], kind: str) -> Iterator[Example | BrokenSample]:
    """Samples of a shard in the order of the tar; `kind` is one of `KINDS`."""
    read = KINDS[kind]
    with closing(stream), tarfile.open(fileobj=stream, mode="r|*") as tar:
        for key, members in _samples(tar):
            try:
                yield read(key, members)
            except WrongSchemaVersionError:
                raise
            except (ValueError, KeyError, OSError, SyntaxError) as error:
                # Pillow reports damaged pictures as OSError or SyntaxError, the format as a ValueError
                yield BrokenSample(key=key, reason=f"{type(error).__name__}: {error}")


def _samples(tar: tarfile.TarFile) -> Iterator[tuple[str, Members]]:
    key, members = "", dict[str, bytes]()
    for entry in tar:
        if not entry.isfile():
            continue
        name, _, member = Path(entry.name).name.partition(".")
        if members and name != key:
            yield key, members
            members = {}
        content = tar.extractfile(entry)
        key, members[member] = name, content.read() if content else b""
    if members:
        yield key, members


def read_grounding(key: str, members: Members) -> GroundingExample:
    """A sample of a GroundEdit release; its JSON is checked by the format's own reader."""
    from tasks.errors import DataFault  # noqa: PLC0415 - only those who read releases need the pipeline's records
    from tasks.publishing.shard_format import read_sample  # noqa: PLC0415
    from tasks.records import SCHEMA_VERSION  # noqa: PLC0415

    version = json.loads(members["json"]).get("schema_version")
    if version != SCHEMA_VERSION:
        raise WrongSchemaVersionError(f"{key}: schema_version {version!r}, this code knows {SCHEMA_VERSION}")
    try:
        sample = read_sample(key, members)
    except DataFault as error:
        raise ValueError(str(error)) from error
    source, mask = (
        _picture(sample.source_jpg),
        np.array(Image.open(io.BytesIO(sample.mask_png)).convert("L")) > 127,
    )
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


KINDS: dict[str, Callable[[str, Members], Example]] = {
    "grounding": read_grounding,
    "edit": read_edit,
    "text_to_image": read_text_to_image,
    "understanding": read_understanding,
}


def _image_member(members: Members, stem: str) -> bytes:
    for suffix in IMAGES:
        if f"{stem}.{suffix}" in members:
            return members[f"{stem}.{suffix}"]
    raise ValueError(f"no member {stem} with one of the suffixes {', '.join(IMAGES)}")


def _text(members: Members, field: str) -> str:
    value = json.loads(members["json"]).get(field)
    if not isinstance(value, str) or not value:
        raise ValueError(f"its JSON has no text {field!r}")
    return value


def _picture(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image.convert("RGB") if image.mode not in ("RGB", "RGBA", "LA", "P") else image


def list_shards(uri: str, kind: str) -> list[str]:
    """URIs of the shards of a source, sorted: the train split of a release, or every .tar of a folder."""
    base = uri.rstrip("/")
    if kind == "grounding":
        with closing(open_uri(f"{base}/MANIFEST.json")) as stream:
            shards = json.loads(stream.read())["shards"]
        names = [shard["name"] for shard in shards if shard["split"] == "train"]
    elif "://" in base:
        from obstore.store import from_url  # noqa: PLC0415 - only remote sources need it

        listed = (entry["path"] for part in from_url(base).list() for entry in part)
        names = [path for path in listed if path.endswith(".tar")]
    else:
        names = [path.name for path in Path(base).glob("*.tar")]
    if not names:
        raise ValueError(f"{uri}: no shards")
    return sorted(f"{base}/{name}" for name in names)


def open_uri(uri: str) -> IO[bytes]:
    """A local file, or a remote object fetched whole."""
    if "://" not in uri:
        return Path(uri).open("rb")
    from obstore import get  # noqa: PLC0415 - only remote sources need it
    from obstore.store import from_url  # noqa: PLC0415

    base, _, name = uri.rpartition("/")
    return io.BytesIO(bytes(get(from_url(base), name).bytes()))
