"""Taking a JPEG apart by its segments."""

import pytest

from tasks.records.errors import Reason, SampleError
from tasks.sources.jpeg_segments import MAX_SCANS, read_jpeg


def test_a_bare_jpeg_is_left_as_it_is(pictures):
    data = pictures.save(pictures.draw())
    parts = read_jpeg(data)
    assert parts.data == data
    assert not parts.dropped
    assert parts.components == 3


def test_all_application_segments_and_comments_go(pictures):
    data = pictures.save(pictures.draw())
    marked = pictures.with_segments(
        data, *(pictures.segment(code, b"private") for code in (*range(0xE1, 0xF0), 0xFE, 0xF7))
    )
    assert read_jpeg(marked).data == data


def test_fill_bytes_and_stray_bytes_between_segments_go(pictures):
    data = pictures.save(pictures.draw())
    assert read_jpeg(data[:2] + b"stray\xff\xff\xff" + data[3:]).data == data


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC9, 0xCA, 0xCC])
def test_rare_codings_are_copied_but_not_plain(pictures, marker):
    data = pictures.save(pictures.draw())
    frame = data.index(b"\xff\xc0")
    rare = data[:frame] + bytes((0xFF, marker)) + data[frame + 2 :]
    if marker == 0xCC:  # a table, so that the frame is missing
        with pytest.raises(SampleError, match="without a picture"):
            read_jpeg(rare)
        return
    assert read_jpeg(rare).data == rare
    assert not read_jpeg(rare).plain


def test_twelve_bit_samples_are_unsupported(pictures):
    data = bytearray(pictures.save(pictures.draw()))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(SampleError, match="12 bits") as caught:
        read_jpeg(bytes(data))
    assert caught.value.reason == Reason.UNSUPPORTED_FORMAT


def test_every_cut_is_truncated(pictures):
    data = pictures.save(pictures.draw(), progressive=True)
    for end in (*range(2, 700, 9), *range(700, len(data), 997)):
        with pytest.raises(SampleError) as caught:
            read_jpeg(data[:end])
        assert caught.value.reason in (Reason.TRUNCATED, Reason.DECODE_ERROR), end


def test_endless_scans_are_refused(pictures):
    data = pictures.save(pictures.draw(), progressive=True)
    scan = pictures.segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x00"
    with pytest.raises(SampleError, match="scans"):
        read_jpeg(data[:-2] + scan * (MAX_SCANS + 1) + b"\xff\xd9")
