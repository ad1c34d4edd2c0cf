"""What a generative editor is told about a crop: the instruction, and which thing it means where several look alike."""

from __future__ import annotations

import numpy as np

from prompts import load_prompt
from tasks.imaging.arrays import Mask
from tasks.roles.questions import EditQuestion, InpaintQuestion

CROP_EDIT = "crop_edit"
"""Prompt file of all these words."""


def crop_instruction(question: EditQuestion) -> str:
    """The plan's instruction; where the crop shows other things of the class, followed by where the target lies.

    "The second cup from the left" counts the cups of the whole picture, and its crop shows others.
    """
    if not question.similar:
        return question.instruction
    told = load_prompt(CROP_EDIT).sentence(
        "located", instruction=question.instruction, label=question.label, where=place_of(question.mask)
    )
    return " ".join(told.split())


def keeping(told: str) -> str:
    """An instruction with the wish that nothing else changes."""
    return " ".join(load_prompt(CROP_EDIT).sentence("kept", told=told).split())


def removal_instruction(question: InpaintQuestion) -> str:
    """The removal of what the hole covers, in words."""
    told = load_prompt(CROP_EDIT).sentence("removed", label=question.label, where=place_of(question.hole))
    return " ".join(told.split())


def place_of(mask: Mask) -> str:
    """Where a mask lies in its picture, by thirds: ``in the middle`` (an empty one, too), ``at the upper left``, …"""
    height, width = mask.shape
    ys, xs = np.nonzero(mask if mask.any() else np.ones_like(mask))
    # The center of the bounding box: a long shadow or limb does not draw it away as it does a centroid.
    y, x = (ys.min() + ys.max() + 1) / 2, (xs.min() + xs.max() + 1) / 2
    row, column = min(2, int(3 * y / height)), min(2, int(3 * x / width))
    return load_prompt(CROP_EDIT).sentence(f"at_{row}_{column}")
