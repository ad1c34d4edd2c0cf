"""The closed list of what ingest may note about a photograph (``actions`` of its record), each in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Action(StrEnum):
    """What ingest did to make the working source, in the order done; the last one is `KEPT` or `ENCODED`."""

    MISLABELLED = "mislabelled"
    EXIF_UNREADABLE = "exif_unreadable"
    DEPTH_REDUCED = "depth_reduced"
    PROFILE_CONVERTED = "profile_converted"
    PROFILE_UNUSABLE = "profile_unusable"
    ADOBE_RGB_TO_SRGB = "adobe_rgb_to_srgb"
    P3_TO_SRGB = "p3_to_srgb"
    BT2020_TO_SRGB = "bt2020_to_srgb"
    PRIMARIES_TO_SRGB = "primaries_to_srgb"
    GAMMA_TO_SRGB = "gamma_to_srgb"
    VIDEO_CURVE_AS_SRGB = "video_curve_as_srgb"
    COLOR_UNCALIBRATED = "color_uncalibrated"
    COLOR_UNUSABLE = "color_unusable"
    CMYK_WITHOUT_PROFILE = "cmyk_without_profile"
    LAB_TO_SRGB = "lab_to_srgb"
    GREY_TO_RGB = "grey_to_rgb"
    COMPOSITED_ON_WHITE = "composited_on_white"
    TURNED = "turned"
    METADATA_STRIPPED = "metadata_stripped"
    KEPT = "kept"
    ENCODED = "encoded"
    ANNOTATION_DROPPED = "annotation_dropped"
    ANNOTATION_UNUSABLE = "annotation_unusable"
    ANNOTATION_MASKS_DROPPED = "annotation_masks_dropped"


MEANINGS: Mapping[Action, str] = {
    Action.MISLABELLED: "the file's suffix names another format than its bytes",
    Action.EXIF_UNREADABLE: "the EXIF block is damaged; the photograph is taken as upright",
    Action.DEPTH_REDUCED: "more than 8 bits per channel became 8",
    Action.PROFILE_CONVERTED: "converted to sRGB by the ICC profile in the file",
    Action.PROFILE_UNUSABLE: "the ICC profile is damaged, incomplete or for other pixels, and was left out",
    Action.ADOBE_RGB_TO_SRGB: "Adobe RGB by EXIF alone; converted",
    Action.P3_TO_SRGB: "Display P3 by a code in the file (CICP); converted",
    Action.BT2020_TO_SRGB: "BT.2020 by a code in the file (CICP), standard range; converted",
    Action.PRIMARIES_TO_SRGB: "primaries, white point or curve stated in numbers or by another code; converted",
    Action.GAMMA_TO_SRGB: "only a gamma or curve is stated, or by a code for one; converted",
    Action.VIDEO_CURVE_AS_SRGB: "a video curve (BT.709 and its like) is stated and read as that of sRGB, as screens do",
    Action.COLOR_UNCALIBRATED: "EXIF says that the colors are not sRGB but not what they are; read as sRGB",
    Action.COLOR_UNUSABLE: "a statement about color is damaged or impossible, and was left out",
    Action.CMYK_WITHOUT_PROFILE: "CMYK without a profile; converted by the plain formula",
    Action.LAB_TO_SRGB: "CIE L*a*b* converted",
    Action.GREY_TO_RGB: "one gray channel became three",
    Action.COMPOSITED_ON_WHITE: "transparent parts were laid on white",
    Action.TURNED: "rotated or mirrored as EXIF orientation or the file's own transform asks",
    Action.METADATA_STRIPPED: "metadata or trailing data was removed; the coded picture is the original's",
    Action.KEPT: "the coded picture is the original's, byte for byte",
    Action.ENCODED: "encoded once, as JPEG",
    Action.ANNOTATION_DROPPED: "shipped masks were left out, since the photograph was turned",
    Action.ANNOTATION_UNUSABLE: "the file of shipped masks cannot be read",
    Action.ANNOTATION_MASKS_DROPPED: "some shipped masks are damaged or of another size; the others are used",
}
"""One line per action; `docs/dataset-format.md` has the same list."""
