"""Formats by bytes and by name."""

import pytest

from tasks.sources.formats import DECODED, is_cut_short, looks_like_picture, pointer_in, sniff, suffix_agrees


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


def test_general_brands_are_looked_behind(pictures):
    avif = pictures.save(pictures.draw(), "AVIF")
    assert avif[8:12] == b"avif"
    general = avif[:8] + b"mif1" + avif[12:]
    assert sniff(general[:32]) == "AVIF"
    assert sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf") == "HEIC"
    assert sniff(b"\0\0\0\x14ftypmif1\0\0\0\0mif1avif") == "HEIC"  # behind the box's end


def test_raw_files_that_begin_like_a_tiff_are_raw():
    assert sniff(b"II*\0\x10\0\0\0CR\x02\0") == "RAW"
    assert sniff(b"II*\0\x10\0\0\0ZZ\x02\0") == "TIFF"


@pytest.mark.parametrize(
    ("data", "tool"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"/annex/objects/SHA256E-s9--0.jpg\n", "git annex get"),
        (b"version https://git-lfs.github.com/spec/v1\n" + b"x" * 99_000, ""),
        (b"version 2", ""),
        (b"", ""),
    ],
)
def test_pointers_of_files_that_were_not_fetched_say_how_to_fetch_them(data, tool):
    assert tool in pointer_in(data)
    assert bool(pointer_in(data)) == bool(tool)


def test_names_promise_pictures_or_not():
    assert all(map(looks_like_picture, ("a.jpg", "s/a.b.JPEG", "x.HEIC", ".png")))
    assert not any(map(looks_like_picture, ("jpg", "a.txt", "a.jpg.json", "a.", "")))


def test_endings_fit_formats():
    assert suffix_agrees("a.JPG", "MPO")
    assert suffix_agrees("anything", "PNG")
    assert suffix_agrees("a.dat", "PNG")
    assert not suffix_agrees("a.jpg", "PNG")
    assert not suffix_agrees("a.heic", "JPEG")
