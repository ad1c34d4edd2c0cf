"""Writes tiny releases and general shards in the formats that training reads."""

import io
import json
import tarfile

from intercog_model.data.example import GroundingExample
from tasks.publishing.shard_format import SampleMeta
from tasks.records.records import SCHEMA_VERSION

RLE = {"size": [1, 1], "counts": "1"}
SCORE = {"name": "s", "value": 1.0}
GATE = {**SCORE, "low": [0.0], "high": [], "passed": True, "decides": True, "note": "none"}


def png(image, kind="PNG"):
    data = io.BytesIO()
    image.save(data, format=kind)
    return data.getvalue()


def meta(example: GroundingExample, version=SCHEMA_VERSION):
    """The JSON of a sample, checked by the format's own record."""
    box, cot = [0, 0, 1, 1], example.sections
    tree = {
        "schema_version": version, "key": example.key, "sid": "a", "split": "train", "edit_type": "Color",
        "argument": "blue", "instruction": example.instruction, "instruction_before_rewriting": "x",
        "CoT": {
            "1_Scene_Description": cot.scene, "2_Target_Localization": cot.target,
            "3_Editing_Description": cot.edit, "4_Post_Edit_Description": cot.result,
        },
        "target": {"id": "t", "label": "box", "indices": [0], "boxes": [box], "mask": RLE, "scores": [SCORE]},
        "objects": [{
            "index": 0, "label": "box", "box": box, "mask": RLE, "area": 1, "color": "gray", "is_target": True,
            "not_a_target": "none", "scores": [SCORE], "checks": [GATE],
        }],
        "crop": box, "allowed_region": RLE, "method": "m", "gates": [GATE | {"stage": "e"}], "scores": [GATE],
        "provenance": {
            "build_seed": 0, "edit_seed": 0, "prompts": [{"name": "p", "sha256": "0"}],
            "models": [{"role": "r", "backend": "b", "model": "m", "revision": "1", "digest": "none"}],
            "libraries": [{"name": "l", "version": "1"}], "stages": [{"stage": "s", "config8": "0"}],
        },
        "source": {
            "location": "l", "sha256": "0", "working_sha256": "0", "width": 1, "height": 1,
            "original_format": "JPEG", "actions": ["none"], "fingerprint": "0",
        },
        "license": "unstated",
    }  # fmt: skip
    return SampleMeta.model_validate(tree).to_json()


def members(example: GroundingExample, version=SCHEMA_VERSION):
    from PIL import Image  # noqa: PLC0415

    return {
        "edited.png": png(example.edited),
        "grounded.jpg": png(example.grounded, "JPEG"),
        "json": meta(example, version),
        "mask.png": png(Image.fromarray(example.mask).convert("L")),
        "source.jpg": png(example.source, "JPEG"),
    }


def write_tar(path, samples):
    """A tar of {key: {member: bytes}}."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, parts in samples.items():
            for name, data in parts.items():
                entry = tarfile.TarInfo(f"{key}.{name}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))


def write_release(folder, examples, per_shard=4, change=lambda _key, parts: parts, validation=()):
    """A release of train and validation shards; `change` may damage a sample's members."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = []
    for split, members_of in (("train", examples), ("validation", validation)):
        for first in range(0, len(members_of), per_shard):
            name = f"{split}-{first // per_shard:06d}.tar"
            group = members_of[first : first + per_shard]
            write_tar(folder / name, {e.key: change(e.key, members(e)) for e in group})
            shards.append({"name": name, "split": split})
    (folder / "MANIFEST.json").write_text(json.dumps({"shards": shards}))
    return folder
