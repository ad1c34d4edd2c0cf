"""Rewriting JPEG segments."""

import pytest

from tasks.records.errors import Reason, SampleError
from tasks.sources.jpeg_segments import MAX_SCANS, strip_metadata


def test_a_bare_jpeg_is_left_as_it_is(pictures):
    data = pictures.save(pictures.draw())
    stripped = strip_metadata(data)
    assert stripped.data == data
    assert not stripped.dropped
    assert stripped.components == 3


def test_all_application_segments_and_comments_go(pictures):
    data = pictures.save(pictures.draw())
    marked = pictures.with_segments(
        data, *(pictures.segment(code, b"private") for code in (*range(0xE1, 0xF0), 0xFE, 0xF7))
    )
    assert strip_metadata(marked).data == data


def test_fill_bytes_and_stray_bytes_between_segments_go(pictures):
    data = pictures.save(pictures.draw())
    assert strip_metadata(data[:2] + b"stray\xff\xff\xff" + data[3:]).data == data


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC9, 0xCA, 0xCC])
def test_rare_codings_are_left_to_the_encoder(pictures, marker):
    data = pictures.save(pictures.draw())
    frame = data.index(b"\xff\xc0")
    assert strip_metadata(data[:frame] + bytes((0xFF, marker)) + data[frame + 2 :]) is None


def test_twelve_bit_samples_are_left_to_the_encoder(pictures):
    data = bytearray(pictures.save(pictures.draw()))
    data[data.index(b"\xff\xc0") + 4] = 12
    assert strip_metadata(bytes(data)) is None


def test_every_cut_is_truncated(pictures):
    data = pictures.save(pictures.draw(), progressive=True)
    for end in (*range(2, 700, 9), *range(700, len(data), 997)):
        with pytest.raises(SampleError) as caught:
            strip_metadata(data[:end])
        assert caught.value.reason in (Reason.TRUNCATED, Reason.DECODE_ERROR), end


def test_endless_scans_are_refused(pictures):
    data = pictures.save(pictures.draw(), progressive=True)
    scan = pictures.segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x00"
    with pytest.raises(SampleError, match="scans"):
        strip_metadata(data[:-2] + scan * (MAX_SCANS + 1) + b"\xff\xd9")
