"""A reduced copy, a mask or a second view is no page of its own; a document and an animation have several."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from tasks.records.errors import Reason, SampleError
from tasks.sources.settings import IngestSettings
from tasks.sources.working_source import make_working_source

SETTINGS = IngestSettings(min_side_px=16)


@pytest.fixture
def picture(pictures):
    return pictures.draw(64, 48)


def tiff(*pages, order="<"):
    """Uncompressed RGB pages: (pixels, further tags {number: (type, value)}, directories below it)."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    body, follow = bytearray(mark + bytes(4)), 4
    for pixels, tags, *below in pages:
        offset = _page(body, order, pixels, tags, below)
        body[follow : follow + 4] = struct.pack(f"{order}I", offset)
        follow = len(body) - 4
    return bytes(body)


def _page(body, order, pixels, tags, below):
    subs = [_page(body, order, *each, ()) for each in below]
    start = len(body)
    body += pixels.tobytes()
    height, width = pixels.shape[:2]
    bits = len(body)
    body += struct.pack(f"{order}3H", 8, 8, 8)
    entries = {
        256: (4, width), 257: (4, height), 258: (3, bits, 3), 259: (3, 1), 262: (3, 2), 273: (4, start),
        277: (3, 3), 278: (4, height), 279: (4, pixels.size), 284: (3, 1),
    } | tags  # fmt: skip
    if subs:
        entries[330] = (4, subs[0])
    body += bytes(len(body) % 2)
    offset = len(body)
    body += struct.pack(f"{order}H", len(entries))
    for tag, (kind, value, *count) in sorted(entries.items()):
        number = count[0] if count else 1
        packed = struct.pack(f"{order}H2x" if kind == 3 and number == 1 else f"{order}I", value)
        body += struct.pack(f"{order}HHI", tag, kind, number) + packed
    body += bytes(4)
    return offset


def small(pixels, by=4):
    return np.ascontiguousarray(pixels[::by, ::by])


def actions_and_size(data):
    working = make_working_source(data, SETTINGS)
    return working.actions, working.rgb.shape[:2]


def reason_of(data):
    with pytest.raises(SampleError) as caught:
        make_working_source(data, SETTINGS)
    return caught.value.reason


REDUCED, PAGE, MASK = {254: (4, 1)}, {254: (4, 2)}, {254: (4, 4)}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tags", [REDUCED, {255: (3, 2)}, MASK, {254: (4, 5)}, {}])
def test_a_tiff_with_its_own_thumbnail_or_mask_is_read(picture, tags, order):
    data = tiff((picture, {}), (small(picture), tags), order=order)
    working = make_working_source(data, SETTINGS)
    assert working.actions == ("encoded",)
    assert np.array_equal(working.rgb, picture)


def test_a_pyramid_is_read(picture):
    levels = [(small(picture, 2), {}), (small(picture, 4), {}), (small(picture, 8), {})]
    assert actions_and_size(tiff((picture, {}), *levels)) == (("encoded",), (48, 64))


def test_a_thumbnail_that_comes_first_is_not_the_photograph(picture):
    for data in (
        tiff((small(picture), REDUCED), (picture, {254: (4, 0)})),
        tiff((small(picture), REDUCED, (picture, {254: (4, 0)}))),
    ):
        working = make_working_source(data, SETTINGS)
        assert np.array_equal(working.rgb, picture)


def test_thumbnails_below_a_page_are_no_pages(picture):
    assert actions_and_size(tiff((picture, {}, (small(picture), REDUCED)))) == (("encoded",), (48, 64))


@pytest.mark.parametrize("tags", [{}, PAGE, {254: (4, 0)}, {255: (3, 3)}])
def test_a_tiff_of_several_pages_stays_a_document(picture, tags):
    assert reason_of(tiff((picture, tags), (picture[::-1].copy(), tags))) == Reason.ANIMATED
    # A page that is marked as one is one, however small.
    if tags:
        assert reason_of(tiff((picture, tags), (small(picture), tags))) == Reason.ANIMATED


def test_an_unmarked_page_of_another_shape_is_a_page(picture):
    other = np.ascontiguousarray(picture[:20, :20])
    assert reason_of(tiff((picture, {}), (other, {}))) == Reason.ANIMATED


def test_a_cameras_thumbnail_with_bars_is_no_page():
    photograph = np.zeros((96, 144, 3), np.uint8)
    assert actions_and_size(tiff((photograph, {}), (np.zeros((24, 32, 3), np.uint8), {}))) == (
        ("encoded",),
        (96, 144),
    )
    assert reason_of(tiff((photograph, {}), (np.zeros((40, 40, 3), np.uint8), {}))) == Reason.ANIMATED


def test_a_chain_of_pages_that_leads_back_or_nowhere_ends(picture):
    data = bytearray(tiff((picture, {})))
    (first,) = struct.unpack_from("<I", data, 4)
    for following in (first, len(data) + 1000, 3, 0xFFFFFFFF):
        data[-4:] = struct.pack("<I", following)
        assert actions_and_size(bytes(data)) == (("encoded",), (48, 64))


def test_sensor_data_below_a_thumbnail_is_unsupported(picture):
    data = tiff((small(picture), REDUCED, (picture, {254: (4, 0), 262: (3, 32803)})))
    assert reason_of(data) == Reason.UNSUPPORTED_FORMAT


def test_orientation_is_that_of_the_photographs_own_page(picture):
    data = tiff((small(picture), {**REDUCED, 274: (3, 1)}), (picture, {254: (4, 0), 274: (3, 6)}))
    assert actions_and_size(data) == (("turned", "encoded"), (64, 48))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_of_one_frame_is_a_still(pictures, picture, kind):
    still = Image.fromarray(picture)
    one = pictures.save(still, kind, save_all=True)
    assert actions_and_size(one) == (("encoded",), (48, 64))


def test_an_apng_whose_only_control_chunk_is_left_is_a_still(pictures, picture):
    png = pictures.save(picture, "PNG")
    control = pictures.png_chunk(b"acTL", struct.pack(">II", 5, 0))
    assert actions_and_size(png[:33] + control + png[33:]) == (("encoded",), (48, 64))


def test_a_webp_animation_of_one_frame_is_a_still(pictures, picture):
    webp = pictures.save(picture, "WEBP")
    image = webp[12:]
    three = [n.to_bytes(3, "little") for n in (0, 0, 63, 47, 100)]
    frame = b"".join(three) + b"\0" + image
    content = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + three[2] + three[3]
    content += b"ANIM" + struct.pack("<I", 6) + bytes(6) + b"ANMF" + struct.pack("<I", len(frame)) + frame
    data = b"RIFF" + struct.pack("<I", len(content)) + content
    assert Image.open(io.BytesIO(data)).size == (64, 48)
    assert actions_and_size(data)[1] == (48, 64)


def test_a_phones_preview_behind_the_picture_is_no_frame(pictures, picture):
    views = [Image.fromarray(small(picture)), Image.fromarray(small(picture, 2))]
    data = pictures.save(Image.fromarray(picture), "MPO", save_all=True, append_images=views)
    assert actions_and_size(data) == (("metadata_stripped", "kept"), (48, 64))


def test_an_avif_with_alpha_is_one_picture(pictures, picture):
    clear = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    clear[:9, :, 3] = 0
    assert actions_and_size(pictures.save(clear, "AVIF")) == (("composited_on_white", "encoded"), (48, 64))


def test_an_avif_of_several_frames_is_animated(pictures, picture):
    frames = [Image.fromarray(picture), Image.fromarray(picture[::-1].copy())]
    data = pictures.save(frames[0], "AVIF", save_all=True, append_images=frames[1:])
    assert reason_of(data) == Reason.ANIMATED
