"""What ingest throws away must not decide whether a picture is read."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from tasks.records.errors import Reason, SampleError
from tasks.sources.settings import IngestSettings
from tasks.sources.working_source import make_working_source

SETTINGS = IngestSettings(min_side_px=16)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def picture(pictures):
    return pictures.draw(48, 40)


def actions_of(data):
    return make_working_source(data, SETTINGS).actions


def reason_of(data):
    with pytest.raises(SampleError) as caught:
        make_working_source(data, SETTINGS)
    return caught.value.reason


def with_chunks(png, *chunks, end=False):
    """A PNG with whole chunks after its header, or before its end mark."""
    at = len(png) - 12 if end else 33
    return png[:at] + b"".join(chunks) + png[at:]


def spoiled(chunk):
    return chunk[:-1] + bytes((chunk[-1] ^ 1,))


TEXTS = [
    (b"tEXt", b"Comment\0" + b"x" * 3_000_000),
    (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3_000_000))),
    (b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(3_000_000))),
    (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(20_000_000))),
    (b"zTXt", b"no end"),
    (b"zTXt", b"Comment\0\7not packed"),
    (b"zTXt", b"Raw profile type exif\0\0not packed"),
    (b"tEXt", b"Raw profile type exif\0\nexif\n      8\nzz\n"),
    (b"tIME", b"\0"),
    (b"pHYs", b"\0"),
    (b"bKGD", b""),
    (b"hIST", b""),
    (b"sPLT", b"x"),
    (b"prVt", bytes(100)),
]


@pytest.mark.parametrize("chunk", TEXTS, ids=[f"{name.decode()}-{len(body)}" for name, body in TEXTS])
@pytest.mark.parametrize("sound", [True, False])
@pytest.mark.parametrize("end", [True, False])
def test_no_chunk_that_is_thrown_away_matters(pictures, picture, chunk, sound, end):
    whole = pictures.png_chunk(*chunk)
    data = with_chunks(pictures.save(picture, "PNG"), whole if sound else spoiled(whole), end=end)
    working = make_working_source(data, SETTINGS)
    assert np.array_equal(working.rgb, picture)
    assert set(working.actions) <= {"encoded", "exif_unreadable"}


def test_many_texts_are_no_matter_either(pictures, picture):
    texts = [pictures.png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000)))] * 80
    assert actions_of(with_chunks(pictures.save(picture, "PNG"), *texts)) == ("encoded",)


def test_a_profile_of_any_size_counts(pictures, picture):
    png = pictures.save(picture, "PNG")
    padding = np.random.default_rng(0).integers(0, 256, 1_600_000).astype(np.uint8).tobytes()

    def with_profile(profile):
        return with_chunks(png, pictures.png_chunk(b"iCCP", b"icc\0\0" + zlib.compress(profile)))

    assert actions_of(with_profile(SRGB + padding)) == ("encoded",)
    wide = pictures.icc_profile(pictures.DISPLAY_P3, 2.2)
    assert actions_of(with_profile(wide + padding)) == ("profile_converted", "encoded")
    assert actions_of(with_profile(bytes(40_000_000))) == ("profile_unusable", "encoded")  # a bomb


@pytest.mark.parametrize(
    ("chunk", "note"),
    [
        ((b"iCCP", b"icc\0\0" + zlib.compress(SRGB)), "profile_unusable"),
        ((b"gAMA", struct.pack(">I", 45_455)), "color_unusable"),
        ((b"cICP", bytes((1, 13, 0, 1))), "color_unusable"),
        ((b"eXIf", b"II*\0\x08\0\0\0"), "exif_unreadable"),
    ],
)
def test_damage_in_metadata_that_is_used_is_noted(pictures, picture, chunk, note):
    data = with_chunks(pictures.save(picture, "PNG"), spoiled(pictures.png_chunk(*chunk)))
    assert actions_of(data) == (note, "encoded")


@pytest.mark.parametrize(
    "body", [b"", b"icc", b"icc\0", b"icc\0\1" + zlib.compress(SRGB), b"icc\0\0notpacked"]
)
def test_a_profile_chunk_that_cannot_be_unpacked_is_noted(pictures, picture, body):
    data = with_chunks(pictures.save(picture, "PNG"), pictures.png_chunk(b"iCCP", body))
    assert actions_of(data) == ("profile_unusable", "encoded")


def test_damage_in_the_pictures_own_chunks_is_an_error(pictures, picture):
    png = bytearray(pictures.save(Image.fromarray(picture).quantize(8), "PNG"))
    for name in (b"IHDR", b"PLTE", b"IDAT"):
        data = bytearray(png)
        data[data.index(name) + 5] ^= 4
        assert reason_of(bytes(data)) in (Reason.DECODE_ERROR, Reason.TRUNCATED, Reason.UNSUPPORTED_FORMAT), (
            name
        )


def test_a_palette_that_is_only_a_suggestion_is_thrown_away_too(pictures, picture):
    palette = pictures.png_chunk(b"PLTE", bytes(range(30)))
    for chunk in (palette, spoiled(palette)):
        assert actions_of(with_chunks(pictures.save(picture, "PNG"), chunk)) == ("encoded",)


def test_what_follows_a_whole_png_may_be_anything(pictures, picture):
    png = pictures.save(picture, "PNG")
    late = pictures.png_chunk(b"tEXt", b"Comment\0" + b"x" * 900)
    for data in (
        png + b"garbage" * 50,
        png + png,
        png[:-12],
        png[:-12] + late[:200],
        png[:-12] + b"\xff" * 40,
        png[:-4],
        png[:-12] + b"\0\0\0",
    ):
        working = make_working_source(data, SETTINGS)
        assert working.actions == ("encoded",)
        assert np.array_equal(working.rgb, picture)


@pytest.mark.parametrize("pieces", [2, 7])
def test_a_png_cut_between_pieces_of_its_picture_is_truncated(pictures, picture, pieces):
    png = pictures.save(np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8), "PNG")
    start = png.index(b"IDAT")
    body = png[start + 4 : -16]
    size = -(-len(body) // pieces)
    chunks = [pictures.png_chunk(b"IDAT", body[at : at + size]) for at in range(0, len(body), size)]
    whole = png[: start - 4] + b"".join(chunks) + png[-12:]
    assert actions_of(whole) == ("encoded",)
    assert reason_of(png[: start - 4] + b"".join(chunks[:-1])) == Reason.TRUNCATED


def test_orientation_is_found_in_every_place_a_png_may_have_it(pictures, picture):
    png = pictures.save(picture, "PNG")
    block = pictures.exif(6).removeprefix(b"Exif\0\0")
    digits = f"\nexif\n{len(block):8}\n{block.hex()}\n".encode()
    xmp = b"XML:com.adobe.xmp\0%b\0\0\0%b"
    packet = b'<x:xmpmeta tiff:Orientation="6"/>'
    for chunk in (
        (b"eXIf", block),
        (b"tEXt", b"Raw profile type exif\0" + digits),
        (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(digits)),
        (b"iTXt", xmp % (b"\0", packet)),
        (b"iTXt", xmp % (b"\1", zlib.compress(packet))),
    ):
        for end in (True, False):
            data = with_chunks(png, pictures.png_chunk(*chunk), end=end)
            assert actions_of(data) == ("turned", "encoded"), chunk[0]


SEGMENTS = {
    "exif-broken": (0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff"),
    "exif-empty": (0xE1, b"Exif\0\0"),
    "exif-counts": (0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 60),
    "xmp": (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x" + b"\xff" * 60_000),
    "extended-xmp": (0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"\xff" * 60_000),
    "mpf": (0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff\1\2\3"),
    "mpf-short": (0xE2, b"MPF\0"),
    "mpf-text": (0xE2, b"MPF\0" + b"MM\0*\0\0\0\x08\0\1\xb0\1\0\2\0\0\0\4text\0\0\0\0"),
    "flashpix": (0xE2, b"FPXR\0" + b"\xff" * 9),
    "photoshop": (0xED, b"Photoshop 3.0\x008BIM\x03\xed\xff" + b"\xff" * 9),
    "photoshop-short": (0xED, b"Photoshop 3.0\x008BIM"),
    "adobe-short": (0xEE, b"Adobe"),
    "jfif-short": (0xE0, b"JFIF"),
    "jfxx": (0xE0, b"JFXX\0\x13" + bytes((255, 255)) + b"x" * 50),
    "comment": (0xFE, b"\xff\xd8\xff\xd9" * 16_000),
    "unknown": (0xEB, b"\xff" * 65_000),
}


@pytest.mark.parametrize("name", SEGMENTS)
@pytest.mark.parametrize("times", [1, 40])
def test_no_segment_that_is_thrown_away_matters(pictures, picture, name, times):
    jpeg = pictures.save(picture)
    data = pictures.with_segments(jpeg, *[pictures.segment(*SEGMENTS[name])] * times)
    working = make_working_source(data, SETTINGS)
    assert np.array_equal(working.rgb, np.asarray(Image.open(io.BytesIO(jpeg))))
    assert working.actions[-2:] == ("metadata_stripped", "kept")
    assert working.original_format == "JPEG"


@pytest.mark.parametrize("length", [0, 1, 65_535])
@pytest.mark.parametrize(
    ("marker", "head", "note"),
    [
        (0xE1, b"Exif\0\0", ("exif_unreadable",)),
        (0xE2, b"ICC_PROFILE\0\1\1", ("profile_unusable",)),
        (0xED, b"Photoshop 3.0\0", ()),
        (0xFE, b"", ()),
    ],
)
def test_a_segment_of_impossible_length_is_passed_over(pictures, picture, length, marker, head, note):
    jpeg = pictures.save(picture)
    broken = bytes((0xFF, marker)) + length.to_bytes(2, "big") + head + b"and some text"
    working = make_working_source(pictures.with_segments(jpeg, broken), SETTINGS)
    assert np.array_equal(working.rgb, np.asarray(Image.open(io.BytesIO(jpeg))))
    assert working.actions == (*note, "metadata_stripped", "kept")


def test_a_thumbnail_in_a_segment_of_impossible_length_is_not_taken_for_the_picture(pictures, picture):
    thumbnail = pictures.save(picture[::2, ::2].copy())
    for length, reason in ((0, Reason.DECODE_ERROR), (65_535, Reason.TRUNCATED)):
        broken = b"\xff\xe1" + length.to_bytes(2, "big") + b"Exif\0\0" + thumbnail
        assert reason_of(pictures.with_segments(pictures.save(picture), broken)) == reason


def test_a_profile_with_a_piece_missing_is_noted(pictures, picture):
    jpeg = pictures.save(picture)
    for pieces in ([b"\1\2"], [b"\2\2"], [b"\0\0"], [b"\1\0"]):
        segments = (pictures.segment(0xE2, b"ICC_PROFILE\0" + mark + SRGB) for mark in pieces)
        data = pictures.with_segments(jpeg, *segments)
        assert actions_of(data) == ("profile_unusable", "metadata_stripped", "kept"), pieces
    halves = (SRGB[:200], SRGB[200:])
    swapped = [
        pictures.segment(0xE2, b"ICC_PROFILE\0" + bytes((number, 2)) + halves[number - 1])
        for number in (2, 1)
    ]
    assert actions_of(pictures.with_segments(jpeg, *swapped)) == ("metadata_stripped", "kept")


def test_damage_in_one_exif_tag_costs_no_other(pictures, picture):
    """Orientation stands behind a tag whose value lies beyond the block, and before a directory that is none."""
    tags = [(0x010F, 2, 5000, 0xFFFFFF), (0x0112, 3, 1, 6), (0x011A, 99, 7, 7), (0x8769, 4, 1, 0xFFFFF)]
    body = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    block = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + body
    data = pictures.with_segments(pictures.save(picture), pictures.segment(0xE1, block))
    assert actions_of(data) == ("turned", "encoded")


def test_a_damaged_exif_block_is_noted_in_every_format(pictures, picture):
    broken = b"II*\0\xff\xff\xff\xff" + b"\xff" * 20
    png = with_chunks(pictures.save(picture, "PNG"), pictures.png_chunk(b"eXIf", broken))
    webp = with_webp_chunk(pictures.save(picture, "WEBP", exif=pictures.exif()), b"EXIF", broken)
    jpeg = pictures.with_segments(pictures.save(picture), pictures.segment(0xE1, b"Exif\0\0" + broken))
    for data in (png, webp, jpeg):
        assert actions_of(data)[0] == "exif_unreadable"


def with_webp_chunk(webp, name, body):
    """The WebP with another body of one of its chunks."""
    start = webp.index(name)
    length = int.from_bytes(webp[start + 4 : start + 8], "little")
    piece = name + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)
    content = webp[8:start] + piece + webp[start + 8 + length + length % 2 :]
    return b"RIFF" + len(content).to_bytes(4, "little") + content


def test_webp_metadata_may_be_broken_or_cut(pictures, picture):
    webp = pictures.save(picture, "WEBP", exif=pictures.exif(), xmp=b"<x/>" * 100, icc_profile=SRGB)
    start = webp.index(b"XMP ")
    for data in (
        webp[: start + 30],
        webp[: start + 3],
        webp[:start] + b"XMP \xff\xff\xff\xff",
        webp + b"garbage" * 30,
        with_webp_chunk(webp, b"XMP ", b"\xff" * 70_000),
    ):
        assert actions_of(data) == ("encoded",)
    assert actions_of(with_webp_chunk(webp, b"ICCP", b"none")) == ("profile_unusable", "encoded")
    assert reason_of(webp[: webp.index(b"VP8 ") + 100]) == Reason.TRUNCATED


@pytest.mark.parametrize("spoil", [(b"II*\0", b"xxxx"), (b"<x:xmpmeta>", b"\xff" * 11)])
def test_avif_metadata_may_be_broken(pictures, picture, spoil):
    exif = pictures.exif(6).replace(b"MM\0*", b"II*\0") if spoil[0] == b"II*\0" else pictures.exif(6)
    block = Image.Exif()
    block[0x010F], block.endian = "maker" * 9, "<"
    del exif
    data = pictures.save(picture, "AVIF", exif=block.tobytes(), xmp=b"<x:xmpmeta>" * 50)
    broken = (
        data.replace(b"II*\0", b"xxxx").replace(b"MM\0*", b"xxxx")
        if spoil[0] == b"II*\0"
        else data.replace(*spoil)
    )
    assert broken != data
    assert actions_of(broken) == ("encoded",)
    assert actions_of(broken + b"garbage" * 30) == ("encoded",)


def test_avif_metadata_that_is_cut_off_at_the_end_is_no_matter(pictures, picture):
    data = pictures.save(picture, "AVIF", xmp=b"<x:xmpmeta>" * 50)
    assert data.index(b"<x:xmpmeta>") < data.rindex(b"<x:xmpmeta>")
    # The extent of the packet leads beyond the file.
    start = data.index(b"iloc")
    length = data.index(struct.pack(">I", 550), start)
    assert actions_of(data[:length] + b"\0\xff\xff\xff" + data[length + 4 :]) == ("encoded",)


def with_tiff_tag(data, tag, kind, count, value):
    """The TIFF (little endian) with a tag more in its directory, which moves to the end."""
    (offset,) = struct.unpack_from("<I", data, 4)
    (number,) = struct.unpack_from("<H", data, offset)
    entries = [data[offset + 2 + 12 * n :][:12] for n in range(number)]
    entries.append(struct.pack("<HHII", tag, kind, count, value))
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    even = data + bytes(len(data) % 2)
    head = even[:4] + struct.pack("<I", len(even)) + even[8:]
    return head + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


@pytest.mark.parametrize(
    "tag",
    [
        (0x8769, 4, 1, 0xFFFFFF),  # EXIF
        (0x8769, 2, 4, 0),
        (0x8825, 4, 1, 3),  # GPS
        (700, 1, 0x7FFFFFFF, 8),  # XMP
        (34377, 1, 0xFFFFFFFF, 8),  # Photoshop
        (282, 2, 1, 0),  # resolution as text
        (282, 5, 1, 0xFFFFFF),
        (296, 3, 1, 99),
        (270, 99, 5, 5),
        (33432, 2, 0xFFFFFF, 0xFFFFFF),
        (50341, 7, 9, 0xFFFFFFFF),
        (330, 4, 3, 0xFFFFFF),
        (65000, 12, 9, 9),
    ],
)
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_tiff_tag_that_is_thrown_away_may_be_broken(pictures, picture, tag, compression):
    data = with_tiff_tag(pictures.save(picture, "TIFF", compression=compression), *tag)
    working = make_working_source(data, SETTINGS)
    assert working.actions == ("encoded",)
    assert np.array_equal(working.rgb, picture)


def test_a_tiff_tag_that_is_used_and_broken_is_noted(pictures, picture):
    plain = pictures.save(picture, "TIFF")
    assert actions_of(with_tiff_tag(plain, 34675, 7, 0xFFFFFF, 8)) == ("profile_unusable", "encoded")
    assert actions_of(with_tiff_tag(plain, 319, 5, 6, 0xFFFFFF)) == ("color_unusable", "encoded")
    assert actions_of(with_tiff_tag(plain, 274, 3, 1, 77)) == ("encoded",)
    assert actions_of(plain + b"garbage" * 20) == ("encoded",)


def test_a_tiff_that_lacks_the_end_of_its_picture_is_never_filled_up(pictures, picture):
    data = pictures.save(picture, "TIFF")
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[270] = "a long description " * 20
    described = pictures.save(picture, "TIFF", tiffinfo=info)
    for cut in (1, 20, 200):
        assert reason_of(data[:-cut]) in (Reason.TRUNCATED, Reason.DECODE_ERROR)
        assert reason_of(described[:-cut]) in (Reason.TRUNCATED, Reason.DECODE_ERROR)


def test_gif_comments_and_trailing_data_are_no_matter(pictures, picture):
    palette = Image.fromarray(picture).quantize(16)
    gif = pictures.save(palette, "GIF")
    expected = np.asarray(palette.convert("RGB"))
    comment = b"!\xfe" + (b"\xff" + b"," * 255) * 30 + b"\0"
    for data in (
        gif[:-1],
        gif[:-1] + b"garbage , ! ;" * 30,
        gif + b"garbage , ! ;" * 30,
        gif[:-1] + comment + b";",
        gif[:-1] + comment[:-300],
        gif[:-1] + b"!\xff\x0bXMP DataXMP<x/>",
    ):
        working = make_working_source(data, SETTINGS)
        assert working.actions == ("encoded",)
        assert np.array_equal(working.rgb, expected)


def test_jpeg_2000_boxes_that_are_thrown_away_may_be_broken(pictures, picture):
    data = pictures.save(picture, "JPEG2000")
    start = data.index(b"jp2c") - 4
    for name, body in ((b"xml ", b"<x"), (b"uuid", b"short"), (b"res ", b"\xff" * 9), (b"jp2i", b"")):
        box = struct.pack(">I4s", 8 + len(body), name) + body
        assert actions_of(data[:start] + box + data[start:]) == ("encoded",)
    assert actions_of(data + b"garbage" * 9) == ("encoded",)
