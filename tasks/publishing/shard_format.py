"""The format of a released sample, and a reader; training imports only this module and the records.

A shard is a USTAR file of samples, each of five adjacent members:

    <key>.edited.png    8-bit RGB, source size; bit-identical to the source outside ``allowed_region``
    <key>.grounded.jpg  the source with the target's red mask (opacity 0.5) and red boxes
    <key>.json          `SampleMeta`
    <key>.mask.png      8-bit single channel, 0 or 255, source size: the target
    <key>.source.jpg    the working source, upright sRGB

The JSON has one constant shape, since readers infer types from the first samples: no null and no "" anywhere, and
[] only for an absent bound (`MeasuredShape`), which other numbers of the same sample have.
Samples of earlier schema versions are also read, and converted to the current shape.
Coordinates are pixels of the source, x to the right, y down, boxes half-open x0, y0, x1, y1.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, BinaryIO, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.records import version_1
from tasks.records.errors import DataFault
from tasks.records.records import SCHEMA_VERSION, SCHEMA_VERSIONS, EditType
from tasks.storage.objects.uris import local_folder

MEMBERS = ("edited.png", "grounded.jpg", "json", "mask.png", "source.jpg")
"""Member names of a sample, in tar order."""

SPLITS = ("train", "validation")
"""Splits of a release, in order."""

MANIFEST = "MANIFEST.json"
"""Written last; a folder without it is not a complete release."""

NONE = "none"
"""Placeholder for an empty text."""

Text = Annotated[str, Field(min_length=1)]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]+$")]
BoxList = tuple[int, int, int, int]


class Shape(BaseModel):
    """Base of the JSON's parts: frozen, no unknown keys, no number that JSON cannot represent."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_by_name=True, validate_by_alias=True
    )


class RleShape(Shape):
    """A COCO run-length mask; ``size`` is [height, width], ``counts`` the compressed ASCII."""

    size: tuple[int, int]
    counts: Text


Bound = Annotated[tuple[float, ...], Field(max_length=1)]
"""An inclusive bound; empty if absent."""


class ScoreShape(Shape):
    """A model's own score."""

    name: Text
    value: float


class MeasuredShape(ScoreShape):
    """A measured number; it passed if ``low`` <= ``value`` <= ``high``, or if it decides nothing.

    ``note`` holds what the number alone does not say, or ``none``.
    """

    low: Bound
    high: Bound
    passed: bool
    decides: bool
    note: Text

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """``low`` and ``high``, None where absent."""
        return next(iter(self.low), None), next(iter(self.high), None)


class GateShape(MeasuredShape):
    """A measured number and the stage that measured it."""

    stage: Text


class ObjectShape(Shape):
    """One entity of the scene; ``not_a_target`` says why it does not qualify as a target, or ``none``.

    ``checks`` were measured on its mask. ``part_of`` is the index of the object that it is a part of (a shirt's
    wearer), -1 for an object of its own.
    """

    index: int
    label: Text
    box: BoxList
    mask: RleShape
    area: int
    color: Text
    is_target: bool
    not_a_target: Text
    part_of: int = Field(default=-1, ge=-1)
    scores: Annotated[tuple[ScoreShape, ...], Field(min_length=1)]
    checks: Annotated[tuple[MeasuredShape, ...], Field(min_length=1)]


class TargetShape(Shape):
    """The object (or few objects) to edit: ``mask`` is the union, ``boxes`` has one box per object."""

    id: Text
    label: Text
    indices: Annotated[tuple[int, ...], Field(min_length=1)]
    boxes: Annotated[tuple[BoxList, ...], Field(min_length=1)]
    mask: RleShape
    scores: Annotated[tuple[ScoreShape, ...], Field(min_length=1)]


class CoTShape(Shape):
    """The four reasoning parts under the paper's keys (Figure 19)."""

    scene_description: Text = Field(alias="1_Scene_Description")
    target_localization: Text = Field(alias="2_Target_Localization")
    editing_description: Text = Field(alias="3_Editing_Description")
    post_edit_description: Text = Field(alias="4_Post_Edit_Description")


class ModelShape(Shape):
    """The model that answered for a role; ``digest`` is ``none`` for an algorithm without weights."""

    role: Text
    backend: Text
    model: Text
    revision: Text
    digest: Text


class PromptShape(Shape):
    """A prompt or sentence-pattern file that a role read."""

    name: Text
    sha256: Text


class LibraryShape(Shape):
    """A library of the processes that made the sample."""

    name: Text
    version: Text


class StageShape(Shape):
    """A stage of the build and the first eight hex digits of its configuration's digest."""

    stage: Text
    config8: Text


class ProvenanceShape(Shape):
    """How the sample was made."""

    build_seed: int
    edit_seed: int
    models: Annotated[tuple[ModelShape, ...], Field(min_length=1)]
    prompts: Annotated[tuple[PromptShape, ...], Field(min_length=1)]
    libraries: Annotated[tuple[LibraryShape, ...], Field(min_length=1)]
    stages: Annotated[tuple[StageShape, ...], Field(min_length=1)]


class SourceShape(Shape):
    """The photograph: ``sha256`` is of the original bytes, ``working_sha256`` of ``source.jpg``."""

    location: Text
    sha256: Hex
    working_sha256: Hex
    width: int
    height: int
    original_format: Text
    actions: Annotated[tuple[Text, ...], Field(min_length=1)]
    fingerprint: Text


class SampleMeta(Shape):
    """The content of ``<key>.json``; ``schema_version`` is that of this shape, also for earlier samples.

    A field added here, or in a part of it, has a default (``none``, -1 or no items), which an earlier sample gets.
    """

    schema_version: int
    key: Text
    sid: Text
    split: Text
    edit_type: EditType
    argument: Text
    instruction: Text
    instruction_before_rewriting: Text
    cot: CoTShape = Field(alias="CoT")
    target: TargetShape
    objects: Annotated[tuple[ObjectShape, ...], Field(min_length=1)]
    crop: BoxList
    allowed_region: RleShape
    method: Text
    gates: Annotated[tuple[GateShape, ...], Field(min_length=1)]
    scores: Annotated[tuple[MeasuredShape, ...], Field(min_length=1)]
    provenance: ProvenanceShape
    source: SourceShape
    license: Text

    def to_json(self) -> bytes:
        """UTF-8, one line, keys in the order of the fields."""
        return json.dumps(
            self.model_dump(mode="json", by_alias=True),
            ensure_ascii=False,
            separators=(",", ":"),
            allow_nan=False,
        ).encode()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReleasedSample:
    """One sample as read back; the pictures are still encoded."""

    meta: SampleMeta
    source_jpg: bytes
    grounded_jpg: bytes
    mask_png: bytes
    edited_png: bytes


def parse_meta(data: bytes, key: str) -> SampleMeta:
    """Parses and validates the JSON of a sample.

    Raises:
        DataFault: an unknown schema version, another key than ``key``, or a wrong shape.
    """
    try:
        tree = json.loads(data)
    except ValueError as error:
        raise DataFault(f"{key}.json: not JSON ({error})") from error
    version = tree.get("schema_version") if isinstance(tree, dict) else None
    if version not in SCHEMA_VERSIONS:
        known = ", ".join(map(str, SCHEMA_VERSIONS))
        raise DataFault(f"{key}.json: schema_version {version!r}; this reader knows {known}")
    try:
        if version == version_1.VERSION:
            tree = version_1.sample_of(tree)
        meta = SampleMeta.model_validate({**tree, "schema_version": SCHEMA_VERSION})
    except (AttributeError, KeyError, TypeError) as error:
        raise DataFault(f"{key}.json: not a sample of schema version {version} ({error!r})") from error
    except ValidationError as error:
        where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise DataFault(f"{key}.json: {where}") from error
    if meta.key != key:
        raise DataFault(f"{key}.json: holds the key {meta.key!r}")
    return meta


def read_sample(key: str, members: Mapping[str, bytes]) -> ReleasedSample:
    """One sample from its members by name (``source.jpg`` …), such as an undecoded sample of `webdataset`.

    Raises:
        DataFault: a missing member, or what `parse_meta` raises.
    """
    missing = [name for name in MEMBERS if name not in members]
    if missing:
        raise DataFault(f"{key}: no member {', '.join(missing)}")
    return ReleasedSample(
        meta=parse_meta(members["json"], key),
        source_jpg=members["source.jpg"],
        grounded_jpg=members["grounded.jpg"],
        mask_png=members["mask.png"],
        edited_png=members["edited.png"],
    )


def iterate_shard(stream: BinaryIO) -> Iterator[ReleasedSample]:
    """The samples of one shard in order, read from a stream; one sample in memory at a time."""
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for key, entries in groupby(tar, key=lambda entry: entry.name.partition(".")[0]):
            members = {}
            for entry in entries:
                content = tar.extractfile(entry)
                members[entry.name.partition(".")[2]] = content.read() if content else b""
            yield read_sample(key, members)


def iterate_release(uri: str, split: str | None = None) -> Iterator[ReleasedSample]:
    """The samples of a release in order, from a folder or an object-store prefix (``s3://bucket/prefix``).

    Args:
        uri: of the release's folder, which contains MANIFEST.json.
        split: only this split; None: all, in the order of `SPLITS`.

    Raises:
        DataFault: the manifest is missing (not a release, or an unfinished one), or a sample is damaged.
    """
    with _open(uri, MANIFEST) as stream:
        manifest = json.loads(stream.read())
    for shard in manifest["shards"]:
        if split is None or shard["split"] == split:
            with _open(uri, shard["name"]) as stream:
                yield from iterate_shard(stream)


def _open(uri: str, name: str) -> AbstractContextManager[BinaryIO]:
    """Opens one file of the release as a stream; remote ones through obstore, imported only then."""
    folder = local_folder(uri)
    if folder is None:
        from obstore import open_reader  # noqa: PLC0415  (local readers need no client)
        from obstore.store import from_url  # noqa: PLC0415

        return cast("AbstractContextManager[BinaryIO]", open_reader(from_url(uri.rstrip("/")), name))
    if not (folder / name).is_file():
        raise DataFault(f"{folder / name}: not there" + ("; no finished release" if name == MANIFEST else ""))
    return (folder / name).open("rb")
