"""The crop given to an editor: the target's box enlarged by edit type and shifted inside the picture."""

from __future__ import annotations

from tasks.imaging.geometry import enlarge, union_box
from tasks.records.edit_types import spec_of
from tasks.records.records import Box, EditType, GroundedTarget
from tasks.roles.offers import Offer
from tasks.stages.editing.settings import CropSettings


def edit_crop(
    target: GroundedTarget, edit_type: EditType, argument: str, offer: Offer, settings: CropSettings
) -> Box:
    """The crop for an edit of a target: what its editor's ``offer`` says that it needs, else by the type's factor."""
    needed = offer.window(edit_type, target, argument)
    if needed is not None:
        return needed
    source = target.scene.source
    box = union_box([thing.box for thing in target.objects])
    return crop_box(box, edit_type, source.width, source.height, settings)


def crop_box(box: Box, edit_type: EditType, width: int, height: int, settings: CropSettings) -> Box:
    """The crop for a target's box, inside a picture of ``width`` by ``height`` pixels.

    Enlarged about its center by the type's factor, widened to the minimum side and the maximum aspect, then shifted
    (not shrunk) inside, and to multiples of a grid where the picture has room. A crop that would cover most of the
    picture becomes the whole picture.
    """
    factor = settings.factors.get(edit_type, spec_of(edit_type).crop_factor)
    longest = max(box.width, box.height) * factor
    # Widen a thin target, since editors handle narrow strips badly.
    least = max(settings.min_side_px, round(longest / settings.max_aspect))
    crop = _on_grid(enlarge(box, factor, least, width, height), width, height, settings.multiple_px)
    if crop.area > settings.whole_share * width * height:
        return Box(x0=0, y0=0, x1=width, y1=height)
    return crop


def _on_grid(crop: Box, width: int, height: int, multiple: int) -> Box:
    """``crop`` with sides widened to multiples that fit into the picture, shifted inside."""
    wide, tall = (-(-side // multiple) * multiple for side in (crop.width, crop.height))
    wide, tall = (wide if wide <= width else crop.width), (tall if tall <= height else crop.height)
    x0 = min(max(0, crop.x0 - (wide - crop.width) // 2), width - wide)
    y0 = min(max(0, crop.y0 - (tall - crop.height) // 2), height - tall)
    return Box(x0=x0, y0=y0, x1=x0 + wide, y1=y0 + tall)
