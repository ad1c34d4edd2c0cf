"""Training examples before packing, one record per kind of data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from intercog_model.data.chain_text import Sections


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroundingExample:
    """A sample of our shards: source, instruction, reasoning, red picture, mask, edited picture.

    `mask`: bool (H, W) in pixels of the source, the union of all targets.
    """

    key: str
    source: Image.Image
    instruction: str
    sections: Sections
    grounded: Image.Image
    mask: NDArray[np.bool_]
    edited: Image.Image


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EditExample:
    """General editing data: source, one instruction, edited picture."""

    key: str
    source: Image.Image
    instruction: str
    edited: Image.Image


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextToImageExample:
    """A caption and its picture."""

    key: str
    caption: str
    image: Image.Image


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnderstandingExample:
    """A picture and one turn of question and answer about it."""

    key: str
    image: Image.Image
    question: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaptionExample:
    """A picture and its caption, which are drawn or described by turns."""

    key: str
    image: Image.Image
    caption: str


Example = GroundingExample | EditExample | TextToImageExample | UnderstandingExample | CaptionExample
