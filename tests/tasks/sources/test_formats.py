"""Formats by bytes and by name."""

import pytest

from tasks.sources.formats import DECODED, is_cut_short, looks_like_picture, sniff, suffix_agrees


@pytest.mark.parametrize("kind", DECODED)
def test_every_readable_format_is_recognized_by_its_first_bytes(pictures, kind):
    data = pictures.save(pictures.draw(), kind)
    assert sniff(data[:32]) == kind
    assert not is_cut_short(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_a_missing_end_is_seen(pictures, kind):
    assert is_cut_short(pictures.save(pictures.draw(), kind)[:-40])


def test_texts_and_short_files_are_nothing():
    for head in (b"", b"\xff", b"P", b"{}", b"PNG", b"P3x", b"RIFF", b"\0\0\0\x18ftypisom"):
        assert sniff(head) == ""


def test_names_promise_pictures_or_not():
    assert all(map(looks_like_picture, ("a.jpg", "s/a.b.JPEG", "x.HEIC", ".png")))
    assert not any(map(looks_like_picture, ("jpg", "a.txt", "a.jpg.json", "a.", "")))


def test_endings_fit_formats():
    assert suffix_agrees("a.JPG", "MPO")
    assert suffix_agrees("anything", "PNG")
    assert suffix_agrees("a.dat", "PNG")
    assert not suffix_agrees("a.jpg", "PNG")
    assert not suffix_agrees("a.heic", "JPEG")
