"""Ingest from bytes on disk to record and working source."""

import base64
import hashlib
import shutil
from functools import partial

import numpy as np
import pytest

from tasks.imaging.pixels import decode_rgb, fingerprint
from tasks.records.errors import Reason, StorageFault
from tasks.records.outcomes import StageInput
from tasks.records.records import SourceImage
from tasks.sources.listing import list_sources
from tasks.sources.reading import SourceReader, source_id
from tasks.sources.settings import IngestSettings, SourceSettings
from tasks.stages.ingest.stage import STEP_VERSIONS, ingest
from tests.tasks.stages.answering import answered

GOLDEN = {
    2: {
        "upright.jpg": "aeb73a8aeb3a",
        "deep.png": "df7ec4bc6a95",
        "turned.jpg": "d136d169e0bf",
    }
}
"""First digits of the working source's digest by its step's version; if one changes, increase the version."""


def stage_of(sources):
    return partial(ingest, reader=SourceReader(sources), settings=IngestSettings())


def stage_inputs(sources):
    return [StageInput(id=entry.location, record=entry, blobs={}) for entry in list_sources(sources).entries]


def test_a_kept_photograph_says_everything_about_itself(tmp_path, pictures, ingest):
    data = pictures.save(pictures.draw(), exif=pictures.exif())
    (tmp_path / "x.jpg").write_bytes(data)
    (outcome,) = ingest(SourceSettings(uri=str(tmp_path), name="s")).values()
    (child,) = outcome.children
    (blob,) = child.blobs
    record = child.record
    assert isinstance(record, SourceImage)
    assert record.sid == child.id == base64.b32encode(hashlib.sha256(data).digest()).decode().lower()[:26]
    assert blob.name == "source.jpg"
    assert record.working_sha256 == hashlib.sha256(blob.data).hexdigest()
    assert record.sha256 == hashlib.sha256(data).hexdigest()
    assert (record.width, record.height, record.original_format) == (320, 288, "JPEG")
    assert record.actions == ("metadata_stripped", "kept")
    assert record.license == "unstated (s)"
    assert record.fingerprint == fingerprint(decode_rgb(blob.data))
    assert np.array_equal(decode_rgb(blob.data), decode_rgb(data))


def test_the_id_is_a_legal_key():
    sid = source_id(b"anything")
    assert len(sid) == 26
    assert sid.isalnum()
    assert sid == sid.lower()


def test_a_wrong_ending_is_recorded_and_no_harm(tmp_path, pictures, ingest):
    (tmp_path / "really.jpg").write_bytes(pictures.save(pictures.draw(), "PNG"))
    (tmp_path / "none").write_bytes(pictures.save(pictures.draw()))
    (tmp_path / "fine.JPEG").write_bytes(pictures.save(pictures.draw(301, 288)))
    actions = {
        k: o.children[0].record.actions
        for k, o in ingest(SourceSettings(uri=str(tmp_path), name="s")).items()
    }
    assert actions == {
        "s/fine.JPEG": ("kept",),
        "s/none": ("kept",),
        "s/really.jpg": ("mislabelled", "encoded"),
    }


def test_one_of_each_bad_file_has_its_reason(tmp_path, pictures, ingest):
    photo = pictures.save(pictures.draw())
    files = {
        "corrupt.jpg": (photo[:700] + bytes(900) + photo[1600:], {Reason.DECODE_ERROR, Reason.TRUNCATED}),
        "cut.jpg": (photo[:3000], {Reason.TRUNCATED}),
        "zero.jpg": (b"", {Reason.EMPTY_FILE}),
        "text.jpg": (b"hello", {Reason.NOT_AN_IMAGE}),
        "pixel.png": (pictures.save(pictures.draw(1, 1), "PNG"), {Reason.TOO_SMALL}),
        "long.png": (pictures.save(pictures.draw(9000, 2), "PNG"), {Reason.EXTREME_ASPECT}),
        "bomb.png": (pictures.bomb(), {Reason.TOO_MANY_PIXELS}),
        "heavy.bmp": (b"BM" + bytes(300_000), {Reason.TOO_MANY_BYTES}),
        "phone.heic": (b"\0\0\0\x18ftypheic" + bytes(99), {Reason.UNSUPPORTED_FORMAT}),
    }
    for name, (data, _) in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "good.jpg").write_bytes(photo)
    outcomes = ingest(SourceSettings(uri=str(tmp_path), name="s"), max_bytes=250_000)
    assert outcomes.pop("s/good.jpg").reason is None
    for location, outcome in outcomes.items():
        assert outcome.reason in files[location.removeprefix("s/")][1], location
        assert outcome.detail
        assert str(tmp_path) not in outcome.detail


def test_files_that_change_between_listing_and_reading_fail_alone(tmp_path, pictures):
    names = ("gone.jpg", "folder.jpg", "longer.jpg", "stays.jpg")
    for name in names:
        (tmp_path / name).write_bytes(pictures.save(pictures.draw()))
    sources = [SourceSettings(uri=str(tmp_path), name="s")]
    inputs = stage_inputs(sources)
    (tmp_path / "gone.jpg").unlink()
    (tmp_path / "folder.jpg").unlink()
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "longer.jpg").write_bytes(pictures.save(pictures.draw()) + b"more")
    outcomes = answered(stage_of(sources), inputs, None)
    assert {o.input_id.removeprefix("s/"): o.reason for o in outcomes} == {
        "folder.jpg": Reason.UNREADABLE,
        "gone.jpg": Reason.SOURCE_MISSING,
        "longer.jpg": Reason.SOURCE_CHANGED,
        "stays.jpg": None,
    }


def test_a_source_that_vanished_is_an_environment_fault(tmp_path, pictures):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "x.jpg").write_bytes(pictures.save(pictures.draw()))
    sources = [SourceSettings(uri=str(folder))]
    inputs = stage_inputs(sources)
    shutil.rmtree(folder)
    with pytest.raises(StorageFault, match=r"sources\.0\.uri"):
        answered(stage_of(sources), inputs, None)


def test_no_result_depends_on_order_or_company(tmp_path, pictures):
    (tmp_path / "a.png").write_bytes(pictures.save(pictures.draw(), "PNG"))
    (tmp_path / "b.jpg").write_bytes(
        pictures.save(pictures.draw(), icc_profile=pictures.icc_profile(pictures.DISPLAY_P3, 2.2))
    )
    (tmp_path / "c.txt").write_bytes(b"text")
    sources = [SourceSettings(uri=str(tmp_path))]
    inputs = stage_inputs(sources)
    together = answered(stage_of(sources), inputs, None)
    backwards = answered(stage_of(sources), inputs[::-1], None)[::-1]
    alone = [answered(stage_of(sources), [item], None)[0] for item in inputs]
    assert together == backwards == alone


def test_output_is_as_this_version_promised(tmp_path, pictures, ingest):
    ramp = np.linspace(0, 65535, 320 * 288).astype(np.uint16).reshape(288, 320)
    (tmp_path / "upright.jpg").write_bytes(pictures.save(pictures.draw(), exif=pictures.exif()))
    (tmp_path / "turned.jpg").write_bytes(pictures.save(pictures.draw(), exif=pictures.exif(8)))
    (tmp_path / "deep.png").write_bytes(pictures.save(pictures.Image.fromarray(ramp), "PNG"))
    outcomes = ingest(SourceSettings(uri=str(tmp_path), name="s"))
    digests = {k.removeprefix("s/"): o.children[0].record.working_sha256[:12] for k, o in outcomes.items()}
    assert digests == GOLDEN[STEP_VERSIONS["working_source"]]
