"""The pictures beside a sample in the gallery: which exist, their captions and alternative texts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.gallery.pictures import (
    SamplePictures,
    crop_around,
    crop_difference,
    crop_outline,
    encode,
    fit,
    fit_crop,
    mark,
)
from tasks.gallery.target_words import grounded_target
from tasks.imaging.arrays import Image
from tasks.imaging.geometry import cropped, from_rle
from tasks.records.outcomes import BlobRef, PixelReader
from tasks.records.records import EditedSample, GroundedTarget

WHOLE, CROP, DIFFERENCE = "whole", "crop", "difference"
"""Rows of pictures: whole pictures, the largest; the crop around the target; the difference, the smallest."""

CAPTIONS = {
    "source": (WHOLE, "Photograph", "The photograph, {thing} unmarked"),
    "grounded": (WHOLE, "Target (visual grounding)", "The photograph with {thing} tinted red and boxed"),
    "edited": (WHOLE, "Edited", "The whole photograph after the edit of {thing}"),
    "before": (CROP, "Crop before", "The part around {thing}, before the edit"),
    "target": (CROP, "Crop, target: the mask's outline", "The part around {thing}, its mask outlined in red"),
    "after": (CROP, "Crop after", "The same part around {thing}, after the edit"),
    "change": (
        DIFFERENCE,
        "Crop, difference × 4",
        "What the edit of {thing} changed inside the crop, dark on white, with a blue line around what it may change",
    ),
    "difference": (
        DIFFERENCE,
        "Whole, difference × 4",
        "What the edit of {thing} changed in the whole photograph, dark on white",
    ),
}
"""Name of a picture, in the order shown: its row, its caption, and its alternative text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A picture on a page: its row, file name below the gallery's folder, texts, and JPEG bytes."""

    row: str
    name: str
    caption: str
    alt: str
    data: bytes


def sample_figures(stem: str, label: str, pictures: SamplePictures) -> tuple[Figure, ...]:
    """All pictures of a finished sample; file names start with ``stem``."""
    jpegs = dict(pictures.jpegs)
    return tuple(_figure(stem, name, label, jpegs[name]) for name in CAPTIONS if name in jpegs)


def refused_figures(
    stem: str,
    blobs: Mapping[str, BlobRef],
    target: GroundedTarget | None,
    sample: EditedSample | None,
    pixels: PixelReader,
) -> tuple[Figure, ...]:
    """The pictures of a rejected sample for which there are blobs; none without its photograph."""
    if "source.jpg" not in blobs:
        return ()
    source = pixels.rgb(blobs["source.jpg"])
    pictures: dict[str, Image] = {}
    mask = from_rle(target.mask) if target else None
    if target is None or mask is None:
        pictures["source"] = fit(source)
    elif "grounded.jpg" in blobs:
        pictures["grounded"] = fit(pixels.rgb(blobs["grounded.jpg"]))
    else:
        pictures["grounded"] = fit(mark(source, mask, [o.box for o in target.objects]))
    if sample and sample.crop.area:
        pictures |= _crops(source, sample, blobs, pixels)
    elif mask is not None and mask.any():
        pictures["target"] = crop_outline(source, crop_around(mask), mask)
    label = grounded_target(target) if target else ""
    return tuple(_figure(stem, name, label, encode(pictures[name])) for name in CAPTIONS if name in pictures)


def refused_stem(stage: str, id_: str) -> str:
    """Start of a rejected sample's file names: a digest, since ids of ingest are locations with any characters."""
    name = f"{stage}\x00{id_}".encode("utf-8", errors="surrogatepass")
    return "pictures/rejected-" + hashlib.sha256(name).hexdigest()[:20]


def _crops(
    source: Image, sample: EditedSample, blobs: Mapping[str, BlobRef], pixels: PixelReader
) -> dict[str, Image]:
    pictures = {
        "before": fit_crop(cropped(source, sample.crop)),
        "target": crop_outline(source, sample.crop, from_rle(sample.plan.target.mask)),
    }
    if "edited.png" in blobs:
        edited = pixels.rgb(blobs["edited.png"])
        pictures["after"] = fit_crop(cropped(edited, sample.crop))
        pictures["change"] = crop_difference(source, edited, sample.crop, from_rle(sample.allowed))
    elif "patch.png" in blobs:
        pictures["after"] = fit_crop(pixels.rgb(blobs["patch.png"]))
    return pictures


def _figure(stem: str, name: str, label: str, data: bytes) -> Figure:
    row, caption, alt = CAPTIONS[name]
    thing = f"the {label}" if label else "no target chosen"
    return Figure(row=row, name=f"{stem}-{name}.jpg", caption=caption, alt=alt.format(thing=thing), data=data)
