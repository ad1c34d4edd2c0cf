"""The table of edit types: each row holds everything that depends on the type of an edit.

A new type needs a member of `EditType`, a row here and its lines in ``prompts/edit_types.yaml``; no other module
depends on the type. The possible arguments for a target are not in the table, since they depend on the model that
makes the edit: see `tasks.roles.offers`. The rules by which the embedded edit judge scores a type are in that judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from tasks.records.records import EditType

NO_ARGUMENT = "none"
"""Argument of a type that needs none, in records and in released samples."""


class Maker(StrEnum):
    """The role that makes an edit."""

    EDITOR = "editor"
    INPAINTER = "inpainter"


class Region(StrEnum):
    """The part of the crop that an edit may change; the rest of the crop is restored afterwards.

    Attributes:
        OUTLINE: the target's mask and a thin rim, so its silhouette stays.
        CHANGED: the mask and everything the editor changed, for edits that replace the target.
        CROP: the whole crop up to its border, for edits that extend beyond the mask.
    """

    OUTLINE = "outline"
    CHANGED = "changed"
    CROP = "crop"


@dataclass(frozen=True, slots=True, kw_only=True)
class EditGate:
    """A measured gate of an edit.

    Attributes:
        name: of the measurement (`tasks.stages.editing.edit_object`).
        bound: field of `GateSettings` with the bound for edits of the whole target.
        bound_of_part: the same if the instruction may ask for a part only (the shirt of a person); ``""``: such an
            edit is not measured.
    """

    name: Literal["change", "seam", "color"]
    bound: str
    bound_of_part: str


CHANGE = EditGate(name="change", bound="min_change", bound_of_part="min_effect")
SUBTLE_CHANGE = EditGate(name="change", bound="min_effect", bound_of_part="min_effect")
SEAM = EditGate(name="seam", bound="max_seam_share", bound_of_part="max_seam_share")
CLEAN_SEAM = EditGate(name="seam", bound="max_color_seam_share", bound_of_part="max_seam_share")
ASKED_COLOR = EditGate(name="color", bound="min_color_share", bound_of_part="")


@dataclass(frozen=True, slots=True, kw_only=True)
class EditTypeSpec:
    """One type of edit.

    Attributes:
        maker: the role that makes the edit; its offer says which targets and arguments it accepts.
        weight: default relative frequency of the type: samples in the paper (Figure 2; which number belongs to which
            label is inferred from their order).
        argument: what the argument means, in a word or two; ``""`` for a type without argument.
        verbs: families of verbs (gate vocabulary) that ask for the type; "change" and "make" ask for any but a removal.
        reads: regular expressions with a group ``argument``, tried in order on an instruction whose writer did not
            state the argument separately; case-insensitive, the final period is removed before.
        beside: whether something comes beside the target, which stays as it is; else the target itself changes.
        verbatim: whether the argument is literal text; otherwise a leading article and a final period are dropped.
        crop_factor: default ratio of the side of the editor's crop to the side of the target's box.
        region: the part of the crop that the edit may change; ignored for the inpainter's edits.
        gates: measured gates in order; removals have gates of their own.
    """

    edit_type: EditType
    maker: Maker
    weight: float
    argument: str
    verbs: frozenset[str]
    reads: tuple[str, ...]
    crop_factor: float
    region: Region
    gates: tuple[EditGate, ...]
    verbatim: bool = False
    beside: bool = False


_SHADE = (
    r"(?:(?:bright|light|dark|pale|deep|vivid|vibrant|rich|warm|bold|shiny|soft|pastel|neon|metallic|navy|sky|baby|"
    r"royal|olive|forest|lime|mint|hot|cherry|wine|lemon|emerald|charcoal|off)[ -])*"
)
_COLOR = (
    rf"{_SHADE}(?:black|white|gr[ae]y|red|orange|brown|yellow|green|blue|purple|pink|gold(?:en)?|silver|beige|cream|"
    r"tan|navy|teal|turquoise|cyan|aqua|magenta|violet|lavender|indigo|maroon|burgundy|crimson|scarlet|coral|salmon|"
    r"khaki|olive|mint|ivory|bronze|copper)"
)
_MATERIAL = (
    r"(?:polished |brushed |stained |carved |rough |clear |frosted )*(?:wood(?:en)?|metal(?:lic)?|gold(?:en)?|silver|"
    r"bronze|copper|brass|steel|iron|chrome|glass|crystal|marble|stone|granite|concrete|brick|clay|ceramic|porcelain|"
    r"plastic|rubber|leather|velvet|silk|denim|wool(?:en)?|knitted|fabric|paper|cardboard|ice|jade|bamboo|wicker)"
)
_WORDS = (
    r"(?!(?:the|his|her|its|their|this|that|match|be|look)\b)[a-z][a-z'-]*(?: (?!the\b)[a-z][a-z'-]*){0,2}"
)
"""One to three words that do not refer to anything in the picture."""

_POSE = (
    r"(?:sit|stand|lie|lean|kneel|crouch|squat|bend|run|walk|jump|hop|fly|swim|dance|wave|clap|point|raise|lift|"
    r"lower|stretch|spread|cross|fold|hold|throw|catch|kick|hug|ride|eat|drink|read|write|sing|laugh|smile|frown|cry|"
    r"yawn|sleep|wink|open|close|look|turn|face|nod|bow|salute|play|pick|put|take off|wag|stick)"
)
_PUT = r"^(?:please\s+)?(?:add|put|place|insert|attach|draw|set|stick|hang|tie|pin|lay)\s+"
_SOME = r"(?:(?:an?|some)\s+|(?=(?:another|one|two|three|four|several)\s))"
"""Start of the words for a new object; an article is not part of the argument, a number is."""


EDIT_TYPES: tuple[EditTypeSpec, ...] = (
    EditTypeSpec(
        edit_type=EditType.COLOR,
        maker=Maker.EDITOR,
        weight=12973.0,
        argument="color",
        verbs=frozenset({"recolor", "restyle"}),
        reads=(
            rf".*\b(?:to|into)\s+(?:an?\s+)?(?P<argument>{_COLOR})\b",
            rf"\ban?\s+(?P<argument>{_COLOR})\s+(?:colou?r|shade|hue|tone|finish|coat)\b",
            rf"\b(?:in|with)\s+(?P<argument>{_COLOR})(?:\s+paint)?$",
            rf"^(?:make|turn|paint|repaint|colou?r|recolou?r|dye|tint|have)\b.*?\s(?P<argument>{_COLOR})$",
            rf"\bcolou?r\b.*\bto\s+(?P<argument>{_WORDS})$",
        ),
        crop_factor=1.3,
        region=Region.OUTLINE,
        gates=(CHANGE, CLEAN_SEAM, ASKED_COLOR),
    ),
    EditTypeSpec(
        edit_type=EditType.REMOVE,
        maker=Maker.INPAINTER,
        weight=18131.0,
        argument="",
        verbs=frozenset({"remove"}),
        reads=(),
        crop_factor=2.0,
        region=Region.CHANGED,
        gates=(),
    ),
    EditTypeSpec(
        edit_type=EditType.REPLACE,
        maker=Maker.EDITOR,
        weight=7558.0,
        argument="thing",
        verbs=frozenset({"replace"}),
        reads=(
            rf"\b(?:replace|swap|substitute|exchange)\b.*\b(?:with|for|by)\s+{_SOME}(?P<argument>.+)$",
            r"\b(?:replace|swap|substitute|exchange)\b.*\b(?:with|for|by)\s+(?P<argument>.+)$",
            rf"\b(?:turn|change|transform|convert|make)\b.*\b(?:into|to)\s+{_SOME}(?P<argument>.+)$",
        ),
        crop_factor=1.6,
        region=Region.CHANGED,
        gates=(CHANGE, SEAM),
    ),
    EditTypeSpec(
        edit_type=EditType.ADD,
        maker=Maker.EDITOR,
        weight=3844.0,
        argument="thing",
        verbs=frozenset({"add", "give", "write"}),
        reads=(
            rf"{_PUT}(?P<argument>\S.*?)\s+(?:to|on|onto|upon|in|into|inside|at|over|above|below|under|beside|"
            r"next to|near|behind|around|between|for|beneath)\b",
            rf"^(?:please\s+)?give\b.*\b{_SOME}(?P<argument>.+)$",
            rf"\b(?:wear|hold|carry)\s+{_SOME}(?P<argument>.+)$",
            rf"{_PUT}(?P<argument>.+)$",
        ),
        crop_factor=1.9,
        region=Region.CROP,
        gates=(CHANGE, SEAM),
        beside=True,
    ),
    EditTypeSpec(
        edit_type=EditType.MATERIAL,
        maker=Maker.EDITOR,
        weight=1095.0,
        argument="material",
        verbs=frozenset({"give", "restyle"}),
        reads=(
            rf"\bmade\s+(?:out\s+)?(?:of|from)\s+(?P<argument>{_WORDS})$",
            rf".*\b(?:to|into|in|with)\s+(?:an?\s+)?(?P<argument>{_MATERIAL})\b",
            rf"^(?:make|turn|have)\b.*?\b(?P<argument>{_MATERIAL})$",
            rf"\b(?:material|texture|surface)\b.*\bto\s+(?P<argument>{_WORDS})$",
        ),
        crop_factor=1.3,
        region=Region.OUTLINE,
        gates=(CHANGE, SEAM),
    ),
    EditTypeSpec(
        edit_type=EditType.ACTION,
        maker=Maker.EDITOR,
        weight=417.0,
        argument="pose or activity",
        verbs=frozenset({"act", "give"}),
        reads=(
            r"\b(?:pose|posture|action|activity|expression)\b.*\bto\s+(?P<argument>.+)$",
            r"\bfrom\s+\w+ing\b.*?\bto\s+(?P<argument>\w+ing\b.*)$",
            r"\bso\s+(?:that\s+)?(?:it|he|she|they)(?:'s|'re|\s+is|\s+are)\s+(?P<argument>.+)$",
            rf"^(?:please\s+)?(?:make|have|let|get)\b.*?\b(?P<argument>{_POSE}\b.*)$",
        ),
        crop_factor=1.6,
        region=Region.CROP,
        gates=(CHANGE, SEAM),
    ),
    EditTypeSpec(
        edit_type=EditType.APPEARANCE,
        maker=Maker.EDITOR,
        weight=775.0,
        argument="look",
        verbs=frozenset({"act", "add", "give", "restyle"}),
        reads=(
            r".*\b(?:look|appear|seem)\s+(?:like\s+|as\s+)?(?P<argument>.+)$",
            r"\b(?:turn|change|transform|convert|render|show|make)\b.*\b(?:into|to|in|as)\s+(?:an?\s+)?"
            rf"(?P<argument>{_WORDS})$",
            r"^make\b.*\b(?P<argument>(?:much |slightly |a little )?(?:older|younger|newer|brighter|darker|shinier|"
            r"dirtier|cleaner|thinner|fatter|taller|wet|dirty|rusty|blurry|pixelated|glowing|transparent))$",
        ),
        crop_factor=1.3,
        region=Region.OUTLINE,
        gates=(SUBTLE_CHANGE, SEAM),
    ),
    EditTypeSpec(
        edit_type=EditType.TEXT,
        maker=Maker.EDITOR,
        weight=82.0,
        argument="writing",
        verbs=frozenset({"write"}),
        reads=(
            r".*\b(?:says?|reads?|to|into|with|as|writes?|words?|text)\s*[:,]?\s*"
            r"[\"“‘'](?P<argument>[^\"”]+?)[\"”’']$",
            r"\b(?:write|print|add)\b[^\"“]*[\"“](?P<argument>[^\"”]+)[\"”]",
            r"\b(?:so\s+(?:that\s+)?it\s+says|say|read)\s+(?P<argument>[^\"“”]+)$",
            r"\b(?:text|writing|word|words|lettering|number)\b.*\bto\s+(?P<argument>[^\"“”]+)$",
        ),
        crop_factor=1.5,
        region=Region.CHANGED,
        gates=(CHANGE, SEAM),
        verbatim=True,
    ),
)
"""One row per type, in the order of `EditType`."""


def spec_of(edit_type: EditType) -> EditTypeSpec:
    """The row of a type."""
    return next(row for row in EDIT_TYPES if row.edit_type is edit_type)
