"""One decoder, one encoder, one fingerprint."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from tasks.imaging.pixels import decode_rgb, encode_jpeg, encode_png, fingerprint
from tasks.records.errors import Reason, SampleError


def scene(seed: int, width: int = 400, height: int = 300) -> np.ndarray:
    """A picture of a dozen colored blocks."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
    for _ in range(12):
        x, y, w, h = (int(v) for v in rng.integers((0, 0, 40, 40), (width - 40, height - 40, 160, 140)))
        picture[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return picture


def distance(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


def test_png_keeps_every_bit_and_its_bytes_are_the_same_each_time():
    picture = scene(1)
    assert np.array_equal(decode_rgb(encode_png(picture)), picture)
    assert encode_png(picture) == encode_png(np.asfortranarray(picture))


def test_a_mask_is_stored_as_black_and_white():
    mask = scene(2)[:, :, 0] > 100
    data = encode_png(mask)
    assert np.array_equal(decode_rgb(data)[..., 0] == 255, mask)
    assert Image.open(io.BytesIO(data)).mode == "L"
    assert set(np.unique(decode_rgb(data))) == {0, 255}


def test_jpeg_has_full_chroma_no_metadata_and_the_same_bytes_each_time():
    data = encode_jpeg(scene(3))
    picture = Image.open(io.BytesIO(data))
    assert [layer[1:3] for layer in picture.layer] == [(1, 1)] * 3
    assert not {"exif", "icc_profile", "xmp", "comment"} & set(picture.info)
    assert data == encode_jpeg(scene(3).copy())


def test_all_usual_decoders_give_the_same_bits():
    data = encode_jpeg(scene(4))
    other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    assert np.array_equal(decode_rgb(data), other)


def test_decoding_turns_nothing():
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(scene(5)).save(buffer, "JPEG", exif=exif)
    assert decode_rgb(buffer.getvalue()).shape == (300, 400, 3)


def test_a_decoded_picture_can_not_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        decode_rgb(encode_png(scene(6)))[0, 0] = 1


@pytest.mark.parametrize("data", [b"", b"text", encode_png(scene(7))[:500], encode_jpeg(scene(7))[:500]])
def test_damaged_bytes_are_a_changed_source(data):
    with pytest.raises(SampleError) as caught:
        decode_rgb(data)
    assert caught.value.reason == Reason.SOURCE_CHANGED


def test_near_duplicates_have_near_fingerprints_and_others_far_ones():
    prints = []
    for seed in range(12):
        picture = scene(seed)
        own = fingerprint(picture)
        assert len(own) == 16
        smaller = cv2.resize(picture, (230, 170), interpolation=cv2.INTER_AREA)
        assert distance(own, fingerprint(smaller)) <= 4
        assert distance(own, fingerprint(decode_rgb(encode_jpeg(picture, 40)))) <= 4
        brighter = np.clip(picture.astype(int) + 12, 0, 255).astype(np.uint8)
        assert distance(own, fingerprint(brighter)) <= 6
        prints.append(own)
    assert min(distance(a, b) for i, a in enumerate(prints) for b in prints[:i]) > 10
