"""Color that a file states without an ICC profile, against matrices and curves as they are published."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from tasks.records.errors import Reason, SampleError
from tasks.sources.settings import IngestSettings
from tasks.sources.stated_color import (
    ADOBE_RGB_PRIMARIES,
    SRGB_PRIMARIES,
    Primaries,
    from_numbers,
    linear_matrix,
)
from tasks.sources.working_source import make_working_source

SETTINGS = IngestSettings(min_side_px=16)
COLORS = np.array([[180, 90, 70], [30, 160, 60], [60, 80, 200], [128, 128, 128], [9, 250, 17]], np.uint8)

# To XYZ, by Lindbloom and CSS Color 4; all have the white point D65.
TO_XYZ = {
    "adobe": ((0.5767309, 0.1855540, 0.1881852), (0.2973769, 0.6273491, 0.0752741), (0.0270343, 0.0706872, 0.9911085)),
    "p3": ((0.4865709, 0.2656677, 0.1982173), (0.2289746, 0.6917385, 0.0792869), (0.0, 0.0451134, 1.0439444)),
    "bt2020": ((0.6369580, 0.1446169, 0.1688810), (0.2627002, 0.6779981, 0.0593017), (0.0, 0.0280727, 1.0609851)),
    "srgb": ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041)),
}  # fmt: skip
TO_SRGB = np.array(
    ((3.2404542, -1.5371385, -0.4985314), (-0.9692660, 1.8760108, 0.0415560), (0.0556434, -0.2040259, 1.0572252))
)  # fmt: skip


def srgb_decoded(values):
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_encoded(linear):
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * 255


def wanted(values, space="srgb", gamma=None):
    """Levels of sRGB for values 0..1 in a space with a gamma, or with the curve of sRGB."""
    linear = srgb_decoded(values) if gamma is None else values**gamma
    return srgb_encoded(linear @ np.array(TO_XYZ[space]).T @ TO_SRGB.T)


def patches(colors=COLORS, size=16):
    """A picture with one column of each color."""
    return np.repeat(np.repeat(colors[None], size, axis=1).reshape(1, -1, 3), 32, axis=0)


def seen(working, size=16):
    """The middle of each column."""
    return working.rgb[16, size // 2 :: size].astype(float)


def png(pictures, *chunks, picture=None):
    data = pictures.save(patches() if picture is None else picture, "PNG")
    return data[:33] + b"".join(pictures.png_chunk(name, body) for name, body in chunks) + data[33:]


def gama(value):
    return b"gAMA", struct.pack(">I", value)


def chrm(white, red, green, blue):
    return b"cHRM", struct.pack(">8I", *(round(n * 100_000) for n in (*white, *red, *green, *blue)))


D65 = (0.3127, 0.3290)
ADOBE = (D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
PLAIN = (D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))


@pytest.mark.parametrize(
    ("chunks", "space", "gamma", "action"),
    [
        ([gama(100_000)], "srgb", 1.0, "gamma_to_srgb"),
        ([gama(55_556)], "srgb", 1.8, "gamma_to_srgb"),
        ([gama(45_455), chrm(*ADOBE)], "adobe", 2.2, "primaries_to_srgb"),
        ([chrm(*ADOBE)], "adobe", None, "primaries_to_srgb"),
        ([(b"cICP", bytes((12, 13, 0, 1)))], "p3", None, "p3_to_srgb"),
        ([(b"cICP", bytes((9, 13, 0, 1)))], "bt2020", None, "bt2020_to_srgb"),
        ([(b"cICP", bytes((1, 8, 0, 1)))], "srgb", 1.0, "gamma_to_srgb"),
        ([(b"cICP", bytes((12, 13, 0, 1))), (b"sRGB", b"\0"), gama(45_455)], "p3", None, "p3_to_srgb"),
    ],
)
def test_a_png_that_states_its_colors_in_chunks_is_converted(pictures, chunks, space, gamma, action):
    working = make_working_source(png(pictures, *chunks), SETTINGS)
    assert working.actions == (action, "encoded")
    expected = wanted(COLORS / 255, space, gamma)
    assert np.abs(seen(working) - expected).max() <= 1
    assert np.abs(expected - COLORS).max() > 5


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"sRGB", b"\0")],
        [(b"sRGB", b"\1"), gama(100_000)],  # the third edition reads gAMA only where sRGB is missing
        [gama(45_455)],
        [gama(45_455), chrm(*PLAIN)],
        [chrm(*PLAIN)],
        [(b"cICP", bytes((1, 13, 0, 1)))],
        [(b"cICP", bytes((2, 2, 0, 1)))],
    ],
)
def test_statements_of_srgb_change_no_pixel(pictures, chunks):
    working = make_working_source(png(pictures, *chunks), SETTINGS)
    assert working.actions == ("encoded",)
    assert np.array_equal(working.rgb, patches())


def test_a_profile_counts_before_gama_and_an_unusable_one_after_it(pictures):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    packed = b"icc\0\0" + zlib.compress(profile)
    assert make_working_source(png(pictures, (b"iCCP", packed), gama(100_000)), SETTINGS).actions == (
        "encoded",
    )
    broken = b"icc\0\0" + zlib.compress(b"no profile" * 30)
    working = make_working_source(png(pictures, (b"iCCP", broken), gama(100_000)), SETTINGS)
    assert working.actions == ("profile_unusable", "gamma_to_srgb", "encoded")


@pytest.mark.parametrize(
    "chunks",
    [
        [gama(0)],
        [(b"gAMA", b"\0\1")],
        [gama(1)],
        [chrm(D65, (0.3, 0.3), (0.3, 0.3), (0.3, 0.3))],
        [chrm((0, 0), (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))],
        [(b"cHRM", b"\xff" * 32)],
    ],
)
def test_impossible_statements_are_left_out_and_noted(pictures, chunks):
    working = make_working_source(png(pictures, *chunks), SETTINGS)
    assert working.actions == ("color_unusable", "encoded")
    assert np.array_equal(working.rgb, patches())


@pytest.mark.parametrize(
    ("codes", "why"),
    [
        ((9, 16, 0, 1), "PQ"),
        ((9, 18, 0, 1), "HLG"),
        ((12, 16, 0, 1), "PQ"),
        ((1, 13, 0, 0), "range"),
        ((1, 13, 6, 1), "matrix"),
        ((99, 13, 0, 1), "primaries of code 99"),
        ((1, 9, 0, 1), "curve of code 9"),
    ],
)
def test_high_range_and_codes_that_are_not_converted_are_refused(pictures, codes, why):
    with pytest.raises(SampleError, match=why) as caught:
        make_working_source(png(pictures, (b"cICP", bytes(codes))), SETTINGS)
    assert caught.value.reason == Reason.UNSUPPORTED_COLOR


def test_the_curve_of_video_is_read_as_that_of_srgb_and_noted(pictures):
    working = make_working_source(png(pictures, (b"cICP", bytes((1, 1, 0, 1)))), SETTINGS)
    assert working.actions == ("video_curve_as_srgb", "encoded")
    assert np.array_equal(working.rgb, patches())


def test_linear_light_of_sixteen_bits_keeps_its_shadows(pictures):
    deep = np.array([[100, 1000, 5000], [65535, 30, 20000]], np.uint16)
    picture = cv2.imencode(".png", patches(deep, 40)[..., ::-1])[1].tobytes()
    data = picture[:33] + pictures.png_chunk(*gama(100_000)) + picture[33:]
    working = make_working_source(data, SETTINGS)
    assert working.actions == ("depth_reduced", "gamma_to_srgb", "encoded")
    assert np.abs(seen(working, 40) - srgb_encoded(deep / 65535)).max() <= 1


def test_sixteen_bits_beside_transparency_and_in_a_tiff_keep_their_shadows(pictures):
    deep = np.array([[100, 1000, 5000], [65535, 30, 20000]], np.uint16)
    flat = patches(deep, 40)[..., ::-1]
    clear = cv2.imencode(".png", np.dstack([flat, np.full(flat.shape[:2], 65535, np.uint16)]))[1].tobytes()
    clear = clear[:33] + pictures.png_chunk(*gama(100_000)) + clear[33:]
    plain = cv2.imencode(".tiff", flat, [cv2.IMWRITE_TIFF_COMPRESSION, 1])[1].tobytes()
    (offset,) = struct.unpack_from("<I", plain, 4)
    (number,) = struct.unpack_from("<H", plain, offset)
    tags = [plain[offset + 2 + 12 * n :][:12] for n in range(number)]
    tags.append(struct.pack("<HHII", 301, 3, 65536, len(plain)))
    tags.sort(key=lambda tag: struct.unpack_from("<H", tag))
    table = struct.pack("<65536H", *range(65536))
    directory = struct.pack("<H", len(tags)) + b"".join(tags) + bytes(4)
    curved = plain[:4] + struct.pack("<I", len(plain) + len(table)) + plain[8:] + table + directory
    for data in (clear, curved):
        working = make_working_source(data, SETTINGS)
        assert working.actions == ("depth_reduced", "gamma_to_srgb", "encoded")
        assert np.abs(seen(working, 40) - srgb_encoded(deep / 65535)).max() <= 1


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_gray_follows_its_curve(pictures, depth):
    ramp = np.linspace(0, np.iinfo(depth).max, 64 * 64).astype(depth).reshape(64, 64)
    working = make_working_source(png(pictures, gama(100_000), picture=Image.fromarray(ramp)), SETTINGS)
    deep = ("depth_reduced",) if depth == np.uint16 else ()
    assert working.actions == (*deep, "gamma_to_srgb", "grey_to_rgb", "encoded")
    assert np.abs(working.rgb[..., 1] - srgb_encoded(ramp / np.iinfo(depth).max)).max() <= 1


def test_a_palette_and_transparency_are_converted_too(pictures):
    palette = Image.fromarray(patches()).quantize(16)
    assert make_working_source(png(pictures, gama(100_000), picture=palette), SETTINGS).actions == (
        "gamma_to_srgb",
        "encoded",
    )
    clear = np.dstack([patches(), np.full((32, 80), 0, np.uint8)])
    working = make_working_source(png(pictures, gama(100_000), picture=clear), SETTINGS)
    assert working.actions == ("gamma_to_srgb", "composited_on_white", "encoded")
    assert (working.rgb == 255).all()


def test_another_white_point_becomes_white():
    """ROMM RGB (ProPhoto) has D50: its matrix and Bradford's adaptation as Lindbloom has them."""
    romm = Primaries(
        red=(0.7347, 0.2653), green=(0.1596, 0.8404), blue=(0.0366, 0.0001), white=(0.3457, 0.3585)
    )
    to_d50 = np.array(
        ((0.7976749, 0.1351917, 0.0313534), (0.2880402, 0.7118741, 0.0000857), (0, 0, 0.8252100))
    )
    to_d65 = np.array(
        (
            (0.9555766, -0.0230393, 0.0631636),
            (-0.0282895, 1.0099416, 0.0210077),
            (0.0122982, -0.0204830, 1.3299098),
        )
    )
    assert np.abs(linear_matrix(romm) - TO_SRGB @ to_d65 @ to_d50).max() < 0.003
    assert np.abs(linear_matrix(romm).sum(axis=1) - 1).max() < 1e-9
    assert np.abs(linear_matrix(SRGB_PRIMARIES) - np.eye(3)).max() < 1e-9
    assert np.abs(linear_matrix(ADOBE_RGB_PRIMARIES) - TO_SRGB @ np.array(TO_XYZ["adobe"])).max() < 0.001


@pytest.mark.parametrize("gamma", [float("inf"), 0.01, 11.0])
def test_a_gamma_that_no_display_has_is_unusable(gamma):
    assert from_numbers(gamma, ()).noted == ("color_unusable",)


def exif(space=None, index=None, **tags):
    block = Image.Exif()
    inner = block.get_ifd(0x8769)
    if space is not None:
        inner[0xA001] = space
    if index is not None:
        inner[0xA005] = {1: index}
    for tag, value in tags.get("inner", {}).items():
        inner[tag] = value
    for tag, value in tags.get("outer", {}).items():
        block[tag] = value
    block[0x010F] = "maker"
    return block


def jpeg(pictures, block, **options):
    return pictures.save(patches(), exif=block, subsampling=0, quality=100, **options)


@pytest.mark.parametrize("block", [exif(2), exif(0xFFFF, "R03"), exif(None, "R03")])
def test_a_camera_that_names_adobe_rgb_in_exif_alone_is_converted(pictures, block):
    working = make_working_source(jpeg(pictures, block), SETTINGS)
    assert working.actions == ("adobe_rgb_to_srgb", "encoded")
    assert (
        np.abs(seen(working) - wanted(COLORS / 255, "adobe", 563 / 256)).max() <= 3
    )  # JPEG's own loss included


@pytest.mark.parametrize(
    ("block", "actions"),
    [
        (exif(1), ()),
        (exif(1, "R98"), ()),
        (exif(1, "R03"), ()),
        (exif(None, "R98"), ()),
        (exif(0xFFFF), ("color_uncalibrated",)),
        (exif(0xFFFF, "R98"), ("color_uncalibrated",)),
        (exif(0xFFFD), ("color_uncalibrated",)),  # a maker's number for a wide gamut
        (exif(0), ()),
    ],
)
def test_srgb_and_unknown_colors_of_cameras_are_kept(pictures, block, actions):
    data = jpeg(pictures, block)
    working = make_working_source(data, SETTINGS)
    assert working.actions == (*actions, "metadata_stripped", "kept")
    assert np.array_equal(working.rgb, np.asarray(Image.open(io.BytesIO(data))))


def test_exif_may_state_primaries_and_gamma_in_numbers(pictures):
    numbers = {0x013E: D65, 0x013F: (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)}
    working = make_working_source(jpeg(pictures, exif(0xFFFF, inner={0xA500: 2.2}, outer=numbers)), SETTINGS)
    assert working.actions == ("primaries_to_srgb", "encoded")
    assert np.abs(seen(working) - wanted(COLORS / 255, "adobe", 2.2)).max() <= 3


def test_a_profile_counts_before_exif(pictures):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    working = make_working_source(jpeg(pictures, exif(0xFFFF, "R03"), icc_profile=profile), SETTINGS)
    assert working.actions == ("metadata_stripped", "kept")
    broken = make_working_source(jpeg(pictures, exif(0xFFFF, "R03"), icc_profile=b"no profile" * 9), SETTINGS)
    assert broken.actions == ("profile_unusable", "adobe_rgb_to_srgb", "encoded")


def tiff_with_exif(pictures):
    """A TIFF whose directory has one more tag, the offset of a directory with the color space."""
    data = pictures.save(patches(), "TIFF")
    (offset,) = struct.unpack_from("<I", data, 4)
    (number,) = struct.unpack_from("<H", data, offset)
    inner = struct.pack("<HHHIII", 1, 0xA001, 3, 1, 2, 0)
    tags = data[offset + 2 : offset + 2 + 12 * number] + struct.pack("<HHII", 0x8769, 4, 1, len(data))
    outer = struct.pack("<H", number + 1) + tags + bytes(4)
    return data[:4] + struct.pack("<I", len(data) + len(inner)) + data[8:] + inner + outer


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_exif_counts_in_other_formats_where_nothing_else_is_stated(pictures, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = pictures.save(patches(), kind, exif=exif(0xFFFF, "R03"), **options)
    if kind == "TIFF":
        data = tiff_with_exif(pictures)
    working = make_working_source(data, SETTINGS)
    assert working.actions == ("adobe_rgb_to_srgb", "encoded")
    assert np.abs(seen(working) - wanted(COLORS / 255, "adobe", 563 / 256)).max() <= 1


def avif(pictures, primaries, transfer, **options):
    data = pictures.save(patches(), "AVIF", quality=100, subsampling="4:4:4", **options)
    position = data.index(b"colrnclx") + 8
    return data[:position] + struct.pack(">HH", primaries, transfer) + data[position + 4 :]


@pytest.mark.parametrize(
    ("codes", "space", "actions"),
    [
        ((12, 13), "p3", ("p3_to_srgb",)),
        ((9, 13), "bt2020", ("bt2020_to_srgb",)),
        ((9, 14), "bt2020", ("video_curve_as_srgb", "bt2020_to_srgb")),
        ((1, 13), "srgb", ()),
        ((1, 1), "srgb", ("video_curve_as_srgb",)),
        ((2, 2), "srgb", ()),
    ],
)
def test_an_avif_is_converted_by_its_codes(pictures, codes, space, actions):
    working = make_working_source(avif(pictures, *codes), SETTINGS)
    assert working.actions == (*actions, "encoded")
    assert np.abs(seen(working) - wanted(COLORS / 255, space)).max() <= 4


@pytest.mark.parametrize("transfer", [16, 18])
@pytest.mark.parametrize("profile", [b"", b"profile"])
def test_an_avif_of_high_range_is_refused_with_a_profile_and_without(pictures, transfer, profile):
    data = avif(pictures, 9, transfer, icc_profile=profile or None)
    with pytest.raises(SampleError, match="high dynamic range") as caught:
        make_working_source(data, SETTINGS)
    assert caught.value.reason == Reason.UNSUPPORTED_COLOR


def test_a_profile_that_states_high_range_by_codes_is_refused(pictures):
    profile = bytearray(pictures.icc_profile(pictures.DISPLAY_P3, 2.2))
    # One more tag, in the place of the copyright.
    start = profile.index(b"cprt")
    profile[start : start + 4] = b"cicp"
    offset = int.from_bytes(profile[start + 4 : start + 8], "big")
    profile[offset : offset + 12] = b"cicp\0\0\0\0" + bytes((9, 16, 0, 1))
    with pytest.raises(SampleError, match="PQ"):
        make_working_source(pictures.save(patches(), "PNG", icc_profile=bytes(profile)), SETTINGS)


def test_a_tiff_with_primaries_and_a_transfer_function_is_converted(pictures):
    linear = tuple(range(0, 65536, 257))
    info = {318: D65, 319: (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)}
    data = pictures.save(patches(), "TIFF", tiffinfo=tiff_tags({**info, 301: linear * 3}))
    working = make_working_source(data, SETTINGS)
    assert working.actions == ("primaries_to_srgb", "encoded")
    assert np.abs(seen(working) - wanted(COLORS / 255, "adobe", 1.0)).max() <= 1


def test_a_tiff_with_a_transfer_function_alone_is_converted(pictures):
    data = pictures.save(patches(), "TIFF", tiffinfo=tiff_tags({301: tuple(range(0, 65536, 257))}))
    working = make_working_source(data, SETTINGS)
    assert working.actions == ("gamma_to_srgb", "encoded")
    assert np.abs(seen(working) - wanted(COLORS / 255, "srgb", 1.0)).max() <= 1


def tiff_tags(values):
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in values.items():
        info.tagtype[tag] = 3 if tag == 301 else 5
        info[tag] = value
    return info


@pytest.mark.parametrize("kind", [9, 10, 32844, 32845])
def test_a_tiff_of_kinds_of_pixels_that_are_not_converted_is_refused(pictures, kind):
    data = pictures.save(patches(), "TIFF")
    start = data.index(struct.pack("<HHI", 262, 3, 1))
    with pytest.raises(SampleError, match="TIFF with pixels in") as caught:
        make_working_source(data[: start + 8] + struct.pack("<H", kind) + data[start + 10 :], SETTINGS)
    assert caught.value.reason == Reason.UNSUPPORTED_COLOR


def test_a_tiff_with_inks_other_than_cmyk_is_refused(pictures):
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info.tagtype[332] = 3
    for inks, refused in ((1, False), (2, True)):
        info[332] = inks
        data = pictures.save(Image.fromarray(patches()).convert("CMYK"), "TIFF", tiffinfo=info)
        if refused:
            with pytest.raises(SampleError, match="inks other than CMYK"):
                make_working_source(data, SETTINGS)
        else:
            assert make_working_source(data, SETTINGS).actions == ("cmyk_without_profile", "encoded")


def test_a_gif_may_hold_a_profile(pictures):
    profile = pictures.icc_profile(pictures.DISPLAY_P3, 2.2)
    gif = pictures.save(Image.fromarray(patches()).quantize(16), "GIF")
    pieces = [profile[at : at + 255] for at in range(0, len(profile), 255)]
    blocks = b"".join(bytes((len(piece),)) + piece for piece in pieces) + b"\0"
    start = 13 + (3 << ((gif[10] & 7) + 1))
    data = gif[:start] + b"!\xff\x0bICCRGBG1012" + blocks + gif[start:]
    assert make_working_source(data, SETTINGS).actions == ("profile_converted", "encoded")


def test_cmyk_and_gray_do_not_follow_what_cameras_say_about_rgb(pictures):
    block = exif(0xFFFF, "R03")
    cmyk = pictures.save(Image.fromarray(patches()).convert("CMYK"), exif=block)
    assert make_working_source(cmyk, SETTINGS).actions == ("cmyk_without_profile", "encoded")
    gray = pictures.save(Image.fromarray(patches()).convert("L"), exif=block)
    assert make_working_source(gray, SETTINGS).actions == ("adobe_rgb_to_srgb", "grey_to_rgb", "encoded")


def bmp(kind, ends=(), gammas=(0, 0, 0), profile=b""):
    """A BMP with a header of version 5 around the pixels of a plain one."""
    buffer = io.BytesIO()
    Image.fromarray(patches()).save(buffer, "BMP")
    plain = buffer.getvalue()
    pixels = plain[54:]
    fixed = [round(value * (1 << 30)) for value in ends] or [0] * 9
    extra = struct.pack("<4I4s9i3I", 0, 0, 0, 0, kind, *fixed, *(round(g * 65536) for g in gammas))
    extra += struct.pack("<4I", 4, 124 + len(pixels) if profile else 0, len(profile), 0)
    head = b"BM" + struct.pack("<IHHI", 14 + 124 + len(pixels) + len(profile), 0, 0, 14 + 124)
    return head + struct.pack("<I", 124) + plain[18:54] + extra + pixels + profile


def test_a_bmp_is_converted_by_its_header_or_profile(pictures):
    ends = np.array(TO_XYZ["adobe"]).T.reshape(-1)
    working = make_working_source(bmp(bytes(4), ends, (2.2, 2.2, 2.2)), SETTINGS)
    assert working.actions == ("primaries_to_srgb", "encoded")
    assert np.abs(seen(working) - wanted(COLORS / 255, "adobe", 2.2)).max() <= 1
    profile = pictures.icc_profile(pictures.DISPLAY_P3, 2.2)
    assert make_working_source(bmp(b"DEBM", profile=profile), SETTINGS).actions == (
        "profile_converted",
        "encoded",
    )
    assert make_working_source(bmp(b"KNIL"), SETTINGS).actions == ("profile_unusable", "encoded")
    for plain in (bmp(b"BGRs"), bmp(bytes(4)), bmp(b" niW")):
        assert make_working_source(plain, SETTINGS).actions == ("encoded",)


def jpeg2000(pictures, color):
    data = pictures.save(patches(), "JPEG2000")
    start = data.index(b"colr") - 4
    length = int.from_bytes(data[start : start + 4], "big")
    head = data.index(b"jp2h") - 4
    box = struct.pack(">I4s", 8 + len(color), b"colr") + color
    whole = int.from_bytes(data[head : head + 4], "big") + len(box) - length
    return data[:head] + struct.pack(">I", whole) + data[head + 4 : start] + box + data[start + length :]


def test_a_jpeg_2000_is_converted_by_its_profile_or_refused_by_its_code(pictures):
    profile = pictures.icc_profile(pictures.ADOBE_RGB, 2.2)
    working = make_working_source(jpeg2000(pictures, b"\2\0\0" + profile), SETTINGS)
    assert working.actions == ("profile_converted", "encoded")
    plain = make_working_source(jpeg2000(pictures, b"\1\0\0" + struct.pack(">I", 16)), SETTINGS)
    assert plain.actions == ("encoded",)
    with pytest.raises(SampleError, match="color space 21") as caught:
        make_working_source(jpeg2000(pictures, b"\1\0\0" + struct.pack(">I", 21)), SETTINGS)
    assert caught.value.reason == Reason.UNSUPPORTED_COLOR


@pytest.mark.parametrize("transform", [0, 1, 2])
def test_a_jpeg_is_decoded_as_its_adobe_segment_says(pictures, transform):
    picture = Image.fromarray(patches()).convert("CMYK" if transform == 2 else "RGB")
    data = pictures.save(
        picture, quality=100, subsampling=0, **({"keep_rgb": True} if transform == 0 else {})
    )
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    working = make_working_source(data, SETTINGS)
    assert np.abs(working.rgb.astype(int) - expected).max() <= 1
