"""SA-1B: masks that come with a photograph."""

import io
import json
import tarfile

import numpy as np
import pytest

from tasks.imaging.geometry import from_rle, to_rle
from tasks.records.errors import ConfigurationError, Reason
from tasks.sources.listing import list_sources
from tasks.sources.sa1b import parse_annotations
from tasks.sources.settings import SourceSettings


def annotation(*boxes, width=320, height=288):
    entries = []
    for x0, y0, x1, y1 in boxes:
        mask = np.zeros((height, width), bool)
        mask[y0:y1, x0:x1] = True
        entries.append(
            {
                "bbox": [x0 + 0.5, y0 + 0.5, x1 - x0 - 1, y1 - y0 - 1],
                "area": int(mask.sum()),
                "segmentation": {"size": [height, width], "counts": to_rle(mask).counts},
                "predicted_iou": 0.97,
                "stability_score": 1.01,
                "point_coords": [[1, 2]],
                "crop_box": [0, 0, width, height],
                "id": 1,
            }
        )
    image = {"image_id": 1, "width": width, "height": height, "file_name": "sa_1.jpg"}
    return json.dumps({"image": image, "annotations": entries}).encode()


def members(pictures):
    photos = [
        pictures.save(pictures.draw(*size)) for size in ((320, 288), (320, 290), (300, 288), (330, 288))
    ]
    return {
        "sa_1.jpg": photos[0],
        "sa_1.json": annotation((10, 20, 50, 90), (0, 0, 0, 0), (100, 100, 320, 288)),
        "sa_2.jpg": photos[1],
        "sa_2.json": b'{"image": {}, "annotations": [{"bbox"',
        "sa_3.jpg": photos[2],
        "sa_4.json": annotation((1, 1, 9, 9)),
        "sa_5.jpg": photos[3],
        "sa_5.json": annotation((1, 1, 9, 9), width=999),
    }


def check(outcomes, prefix):
    assert {location.removeprefix(prefix): o.reason for location, o in outcomes.items()} == {
        "sa_1.jpg": None,
        "sa_2.jpg": None,
        "sa_3.jpg": None,
        "sa_4.json": Reason.BAD_ANNOTATION,
        "sa_5.jpg": None,
    }
    records = {
        location.removeprefix(prefix): o.children[0].record for location, o in outcomes.items() if o.children
    }
    hints = records["sa_1.jpg"].hints
    assert [(h.box.x0, h.box.y0, h.box.x1, h.box.y1) for h in hints] == [
        (10, 20, 50, 90),
        (100, 100, 320, 288),
    ]
    assert from_rle(hints[0].mask).sum() == 40 * 70
    assert hints[0].predicted_iou == 0.97
    assert hints[0].stability == 1.0
    for name, note in (("sa_2.jpg", "annotation_unusable"), ("sa_5.jpg", "annotation_unusable")):
        assert records[name].hints == ()
        assert note in records[name].actions
    assert records["sa_3.jpg"].hints == ()
    assert "annotation_unusable" not in records["sa_3.jpg"].actions


@pytest.mark.parametrize("kind", ["auto", "sa1b"])
@pytest.mark.parametrize("lead", ["", "./"])
def test_an_archive_gives_photographs_with_hints(tmp_path, pictures, ingest, kind, lead):
    with tarfile.open(tmp_path / "sa.tar", "w") as tar:
        for name, data in members(pictures).items():
            info = tarfile.TarInfo(lead + name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    check(ingest(SourceSettings(uri=str(tmp_path / "sa.tar"), name="s", kind=kind)), "s/sa.tar/")


def test_an_unpacked_archive_gives_the_same(tmp_path, pictures, ingest):
    for name, data in members(pictures).items():
        (tmp_path / name).write_bytes(data)
    check(ingest(SourceSettings(uri=str(tmp_path), name="s")), "s/")


def test_a_turned_photograph_drops_its_masks(tmp_path, pictures, ingest):
    (tmp_path / "sa_1.jpg").write_bytes(pictures.save(pictures.draw(), exif=pictures.exif(6)))
    (tmp_path / "sa_1.json").write_bytes(annotation((10, 20, 50, 90)))
    (outcome,) = ingest(SourceSettings(uri=str(tmp_path))).values()
    assert outcome.children[0].record.hints == ()
    assert outcome.children[0].record.actions[-1] == "annotation_dropped"


def test_a_plain_folder_does_not_pair(tmp_path, pictures):
    (tmp_path / "a.jpg").write_bytes(b"a")
    (tmp_path / "a.json").write_bytes(b"{}")
    assert len(list_sources([SourceSettings(uri=str(tmp_path))]).entries) == 2


HOSTILE = ["", "0", "~~~~", "\x7f\x00", "PPPPPPPPPPPPPPPPPPPP", "1" * 500, "ppppppppppppppp0", "é"]
BROKEN = [
    *({"segmentation": {"size": [288, 320], "counts": counts}} for counts in HOSTILE),
    {"segmentation": {"size": [288, 999], "counts": "0"}},
    {"segmentation": {"size": [288], "counts": "0"}},
    {"segmentation": {"size": [288, 320], "counts": [1, 2, 3]}},
    {"segmentation": [[1.0, 2.0, 3.0, 4.0]]},
    {"segmentation": None},
    {"predicted_iou": "high"},
    {"predicted_iou": 7},
    {"stability_score": None},
]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
def test_one_broken_mask_costs_itself_alone(broken):
    document = json.loads(annotation((10, 20, 50, 90), (100, 100, 320, 288), (0, 0, 30, 30)))
    document["annotations"][1] |= broken
    found = parse_annotations(json.dumps(document).encode(), 320, 288)
    assert [hint.box.x0 for hint in found.hints] == [10, 0]
    assert found.dropped == 1


@pytest.mark.parametrize("entry", [None, 7, "text", [], {}])
def test_an_entry_that_is_no_mask_costs_itself_alone(entry):
    document = json.loads(annotation((10, 20, 50, 90)))
    document["annotations"].insert(0, entry)
    found = parse_annotations(json.dumps(document).encode(), 320, 288)
    assert (len(found.hints), found.dropped) == (1, 1)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"annotations": 1}', b'{"annotations": [', b"\xff"])
def test_a_file_that_is_no_annotation_is_a_value_error(data):
    with pytest.raises(ValueError):
        parse_annotations(data, 320, 288)


def test_dropped_masks_are_recorded_beside_those_that_are_used(tmp_path, pictures, ingest):
    document = json.loads(annotation((10, 20, 50, 90), (100, 100, 320, 288)))
    document["annotations"][0]["segmentation"]["counts"] = "~~~~"
    (tmp_path / "sa_1.jpg").write_bytes(pictures.save(pictures.draw()))
    (tmp_path / "sa_1.json").write_bytes(json.dumps(document).encode())
    (outcome,) = ingest(SourceSettings(uri=str(tmp_path), name="s")).values()
    record = outcome.children[0].record
    assert len(record.hints) == 1
    assert record.actions[-1] == "annotation_masks_dropped"


def test_photographs_and_annotations_may_lie_in_two_folders(tmp_path, pictures, ingest):
    for folder in ("images/a", "annotations"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "images/a/sa_1.jpg").write_bytes(pictures.save(pictures.draw()))
    (tmp_path / "images/a/sa_2.jpg").write_bytes(pictures.save(pictures.draw(330, 288)))
    (tmp_path / "annotations/sa_1.json").write_bytes(annotation((10, 20, 50, 90)))
    (tmp_path / "annotations/sa_3.json").write_bytes(annotation((10, 20, 50, 90)))
    outcomes = ingest(SourceSettings(uri=str(tmp_path), name="s"))
    assert {location: o.reason for location, o in outcomes.items()} == {
        "s/annotations/sa_3.json": Reason.BAD_ANNOTATION,
        "s/images/a/sa_1.jpg": None,
        "s/images/a/sa_2.jpg": None,
    }
    assert outcomes["s/annotations/sa_3.json"].detail == "no photograph of this name"
    assert len(outcomes["s/images/a/sa_1.jpg"].children[0].record.hints) == 1
    assert outcomes["s/images/a/sa_2.jpg"].children[0].record.hints == ()


def test_a_folder_of_annotations_alone_says_which_folder_to_name(tmp_path):
    (tmp_path / "sa_1.json").write_bytes(annotation((10, 20, 50, 90)))
    with pytest.raises(ConfigurationError, match="only annotations of SA-1B; name the folder around"):
        list_sources([SourceSettings(uri=str(tmp_path))])


def test_a_name_that_two_folders_have_is_paired_beside_itself_or_not_at_all(tmp_path, pictures):
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "sa_1.jpg").write_bytes(b"photograph")
    for folder in ("a", "b"):
        (tmp_path / folder / "sa_1.json").write_bytes(annotation((10, 20, 50, 90)))
    entries = list_sources([SourceSettings(uri=str(tmp_path), name="s")]).entries
    assert {e.location: e.annotation for e in entries} == {
        "s/a/sa_1.jpg": "a/sa_1.json",
        "s/b/sa_1.jpg": "b/sa_1.json",
        "s/c/sa_1.jpg": "",
    }


def test_annotations_beside_archives_of_photographs_are_found(tmp_path, pictures, ingest):
    data = pictures.save(pictures.draw())
    with tarfile.open(tmp_path / "sa_000.tar", "w") as tar:
        info = tarfile.TarInfo("sa_1.jpg")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    (tmp_path / "sa_1.json").write_bytes(annotation((10, 20, 50, 90)))
    (outcome,) = ingest(SourceSettings(uri=str(tmp_path), name="s")).values()
    assert len(outcome.children[0].record.hints) == 1
