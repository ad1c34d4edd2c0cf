"""The records of the pipeline, each frozen and each containing the one before it.

    SourceImage -> Scene -> GroundedTarget -> EditPlan -> EditedSample

Coordinates are pixels of the working source (upright, sRGB), x to the right, y down, boxes half-open.
Pixels are never part of a record: a row refers to blobs beside it (`tasks.storage`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SCHEMA_VERSION = 3
"""Raised when a record or a released sample changes shape; part of every stage's configuration digest."""

SCHEMA_VERSIONS = (1, 2, 3)
"""Versions that are read. What version 2 lacks has a default; `tasks.records.version_1` converts version 1."""


class EditType(StrEnum):
    """The eight edit types of the paper (Figure 2)."""

    COLOR = "Color"
    REMOVE = "Remove"
    REPLACE = "Replace"
    ADD = "Add"
    MATERIAL = "Material"
    ACTION = "Action"
    APPEARANCE = "Appearance"
    TEXT = "Text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A half-open rectangle in pixels: columns x0 <= x < x1, rows y0 <= y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.y1 - self.y0

    @property
    def area(self) -> int:
        """Number of pixels."""
        return max(0, self.width) * max(0, self.height)

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) of the middle, in pixels."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rle:
    """A COCO run-length mask: column-major runs, first run counts zeros, LEB-style ASCII compression.

    Attributes:
        height, width: of the whole picture, in pixels.
        counts: the compressed counts as ASCII.
    """

    height: int
    width: int
    counts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One named number and its bounds; created by `tasks.records.measuring.measure`.

    Attributes:
        name: what was measured, with its unit if it has one (``fill_ratio``, ``seam_delta_e``).
        value: the number, rounded.
        low, high: inclusive bounds in the unit of the value; None if there is none.
        decides: whether anything depends on it; an informative number always passes.
        note: what the number alone does not say (why an edit type was not allowed), or ``""``.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    decides: bool = True
    note: str = ""

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """``low`` and ``high``."""
        return self.low, self.high

    @property
    def passed(self) -> bool:
        """Whether the value lies within its bounds, or decides nothing."""
        if not self.decides:
            return True
        above = self.low is None or self.value >= self.low
        return above and (self.high is None or self.value <= self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Exactly which backend answered for a role.

    Attributes:
        role: the role's name (``detector``).
        backend: the backend's registered name.
        model: the model or algorithm, human readable.
        revision: package and version, or hub revision.
        digest: SHA-256 over the weights, ``"none"`` for an algorithm without weights.
    """

    role: str
    backend: str
    model: str
    revision: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceImage:
    """An ingested photograph; its pixels are the row's blob ``source.jpg`` (the working source).

    Attributes:
        sid: 26 characters of lower-case base32 of the SHA-256 of the original bytes.
        location: ``source-name/relative/path`` of the original; no query string, no absolute path.
        sha256: of the original bytes, hex.
        working_sha256: of the working source JPEG, hex.
        width, height: of the working source, pixels.
        original_format: as decoded (``JPEG``, ``PNG``).
        actions: what ingest did, in order (``metadata_stripped``, ``turned``, ``srgb``, ``encoded``).
        license: as stated for the source, or ``unstated (…)``.
        hints: masks that came with the photograph (SA-1B), given to the segmenter.
        fingerprint: 64-bit perceptual hash, 16 hex digits, for near-duplicates.
    """

    sid: str
    location: str
    sha256: str
    working_sha256: str
    width: int
    height: int
    original_format: str
    actions: tuple[str, ...]
    license: str
    hints: tuple[MaskHint, ...]
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskHint:
    """A class-less mask shipped with a photograph, with its producer's own quality scores (0..1)."""

    box: Box
    mask: Rle
    predicted_iou: float
    stability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A word for something that may be in the picture; score in 0..1."""

    name: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneObject:
    """One entity of the scene.

    Attributes:
        index: position in ``Scene.objects``, stable.
        label: lower-case class noun.
        box: detector's box, clipped to the picture.
        mask: segmenter's mask.
        score: detector's confidence, 0..1.
        mask_score: segmenter's own estimate of the mask's quality, 0..1.
        mask_method: algorithm that made the mask.
        area: mask pixels.
        color: name of the mask's dominant color, or ``"mixed"`` if none dominates.
        color_share: share of mask pixels with that color, 0..1.
        lab: mean CIE Lab of the dominant color (L 0..100).
        checks: measurements of the mask.
        not_a_target: why it does not qualify as a target (``""`` if it does); it stays in the scene either way.
        part_of: index of the object that it is a part of (a shirt's wearer), None for an object of its own.
    """

    index: int
    label: str
    box: Box
    mask: Rle
    score: float
    mask_score: float
    mask_method: str
    area: int
    color: str
    color_share: float
    lab: tuple[float, float, float]
    checks: tuple[Measurement, ...]
    not_a_target: str
    part_of: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Distractor:
    """A weaker detection: not an entity of the scene, but it counts when a reference must be unique."""

    label: str
    box: Box
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The whole photograph, grounded (paper 3.1, step 1).

    ``objects`` are the entities in index order; ``distractors`` the low-threshold and second-detector boxes.
    """

    source: SourceImage
    tags: tuple[Tag, ...]
    objects: tuple[SceneObject, ...]
    distractors: tuple[Distractor, ...]
    models: tuple[ModelIdentity, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundedTarget:
    """The object (or few objects) to edit; its row has the blobs ``mask.png`` and ``grounded.jpg``.

    Attributes:
        target_id: ``<sid>-t<n>``.
        indices: objects of the scene, ascending; one unless groups are on.
        mask: union of their masks.
        judgement: measurements of the target judge.
        prompts: (name, SHA-256) of each prompt file that a role asked by the stage reads.
    """

    target_id: str
    scene: Scene
    indices: tuple[int, ...]
    mask: Rle
    judgement: tuple[Measurement, ...]
    models: tuple[ModelIdentity, ...]
    prompts: tuple[tuple[str, str], ...] = ()

    @property
    def objects(self) -> tuple[SceneObject, ...]:
        """The target's objects, ascending by index."""
        return tuple(self.scene.objects[i] for i in self.indices)

    @property
    def label(self) -> str:
        """Class noun of the target (of its first object)."""
        return self.scene.objects[self.indices[0]].label

    @property
    def whole(self) -> SceneObject | None:
        """The object that the target (its first object) is a part of, None for an object of its own."""
        index = self.scene.objects[self.indices[0]].part_of
        return None if index is None else self.scene.objects[index]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """The four parts, in the paper's order (Figure 19)."""

    scene_description: str
    target_localization: str
    editing_description: str
    post_edit_description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPlan:
    """What to edit and how, in words and numbers.

    Attributes:
        plan_id: ``<sid>-t<n>-p<m>``, also the key of the released sample.
        instruction: final, after rewriting.
        instruction_before_rewriting: as the instructor wrote it.
        argument: what the edit turns the target into (a color name for Color, an effect for Appearance,
            a noun for Replace/Add, ``"none"`` for Remove).
        seed: the seed of the edit, derived from (build seed, plan id).
        gates: the instruction's measurements.
        prompts: (name, SHA-256) of each prompt file that a role asked by the stage reads.
    """

    plan_id: str
    target: GroundedTarget
    edit_type: EditType
    argument: str
    instruction: str
    instruction_before_rewriting: str
    reasoning: Reasoning
    seed: int
    gates: tuple[Measurement, ...]
    models: tuple[ModelIdentity, ...]
    prompts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedSample:
    """The finished sample; its row has the blobs ``edited.png`` and ``patch.png`` (the editor's raw crop).

    Attributes:
        crop: the window the editor saw.
        allowed: pixels that may differ from the source; all others are bit-identical.
        method: how the patch was put back: ``blend`` or ``inpaint``, with ``_effects`` where pixels that the model
            changed around the target (shadow, reflection) are allowed as well; ``copy`` where a thing of the photograph
            was copied.
        gates: measured gates of the edit.
        accuracy, seamlessness: the edit judge's scores, 1..5 (paper Figure 20).
        prompts: (name, SHA-256) of each prompt file that a role asked by the stage reads.
    """

    plan: EditPlan
    crop: Box
    allowed: Rle
    method: str
    gates: tuple[Measurement, ...]
    accuracy: float
    seamlessness: float
    models: tuple[ModelIdentity, ...]
    prompts: tuple[tuple[str, str], ...] = ()
