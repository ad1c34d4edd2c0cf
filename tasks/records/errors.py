"""The exception tree, and the closed list of reasons why an input ends early.

    GroundEditError
    ├── ConfigurationError        wrong key, value or combination; raised before any work (exit 2)
    ├── EnvironmentFault          the environment failed: nothing may be committed
    │   ├── AssetUnavailable      a model file or photograph could not be fetched or has another digest
    │   ├── ModelUnavailable      a backend cannot be loaded or its endpoint does not answer
    │   ├── AnswerMissing         only kept answers may be used, and a needed one is missing
    │   ├── ReplicaDied, OwnerDied  a process of a pool, or of the asker, ended (`tasks.roles.replicas`)
    │   ├── StorageFault          the store denies access, is unreachable, or is full
    │   └── OutOfMemory           a model or a unit does not fit
    ├── SampleError               tied to one sample; carries a Reason and becomes a row
    ├── DataFault                 a committed record, digest or count is wrong (exit 1)
    └── StageStopped              a stage stopped itself; the same command resumes it (exit 3)

A *rejection* is a decision of the pipeline; a *failure* means that it could not decide. Both are rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tasks.records.records import Measurement


class GroundEditError(Exception):
    """Base of every exception that this project raises on purpose."""


class ConfigurationError(GroundEditError):
    """A configuration or argument is wrong; the message names the key and the value."""


class EnvironmentFault(GroundEditError):
    """Something outside the data failed; the unit is abandoned without a commit."""


class AssetUnavailable(EnvironmentFault):
    """A packaged model file or photograph cannot be obtained; the message names it and the alternatives."""


class ModelUnavailable(EnvironmentFault):
    """A backend cannot be loaded or reached."""


class StorageFault(EnvironmentFault):
    """The object store refused an operation, vanished, or has no space left."""


class MissingAnswer(NamedTuple):
    """A kept answer that is missing: its role, its sample, and its key."""

    role: str
    subject: str
    key: str


class AnswerMissing(EnvironmentFault):
    """Only kept answers may be used, and some that samples need are missing; their unit cannot be committed.

    Args:
        missing: at least one.
    """

    def __init__(self, missing: Iterable[MissingAnswer]) -> None:
        self.missing = tuple(missing)
        super().__init__(self.missing)  # the plain argument, so that the exception can be pickled

    def __str__(self) -> str:
        first, more = self.missing[0], len(self.missing) - 1
        text = f"{first.subject}: no kept answer of the {first.role} (key {first.key[:24]})"
        return f"{text} and {more} more" if more else text


class OutOfMemory(EnvironmentFault):
    """Not enough memory to load a model or to hold a unit."""


class DataFault(GroundEditError):
    """The store contradicts itself: a digest, a count or a reference is wrong."""


class StageStopped(GroundEditError):
    """A stage stopped itself to protect the data; fix the cause and run the same command again."""


class Reason(StrEnum):
    """Why an input or a child was rejected or failed (see `FAILURES`). Closed: rows hold no other value."""

    # ingest, rejections
    NOT_AN_IMAGE = "not_an_image"
    EMPTY_FILE = "empty_file"
    DECODE_ERROR = "decode_error"
    TRUNCATED = "truncated"
    UNSUPPORTED_FORMAT = "unsupported_format"
    UNSUPPORTED_COLOR = "unsupported_color"
    ANIMATED = "animated"
    TOO_SMALL = "too_small"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_BYTES = "too_many_bytes"
    EXTREME_ASPECT = "extreme_aspect"
    DUPLICATE = "duplicate"
    EXCLUDED = "excluded"
    BAD_NAME = "bad_name"
    BAD_ARCHIVE_MEMBER = "bad_archive_member"
    BAD_ANNOTATION = "bad_annotation"
    # ingest, failures
    POINTER_FILE = "pointer_file"
    UNREADABLE = "unreadable"
    SOURCE_MISSING = "source_missing"
    SOURCE_CHANGED = "source_changed"
    ACCESS_DENIED = "access_denied"
    SERVER_ERROR = "server_error"
    SERVER_UNREACHABLE = "server_unreachable"
    # grounding, rejections
    TOO_FEW_ENTITIES = "too_few_entities"
    NO_TARGET = "no_target"
    MASK_NOT_PRECISE = "mask_not_precise"
    EASY_TARGET = "easy_target"
    TARGET_REFUSED = "target_refused"
    # instruction, rejections
    NO_EDIT_TYPE = "no_edit_type"
    NO_UNIQUE_REFERENCE = "no_unique_reference"
    WRONG_EDIT_TYPE = "wrong_edit_type"
    PARTS_DISAGREE = "parts_disagree"
    MENTIONS_MARKING = "mentions_marking"
    AMBIGUOUS_REFERENCE = "ambiguous_reference"
    DEGENERATE_TEXT = "degenerate_text"
    TWO_EDITS = "two_edits"
    REWRITE_CONTRADICTS = "rewrite_contradicts"
    WRONG_NOUN = "wrong_noun"
    WRONG_ARGUMENT = "wrong_argument"
    WRONG_SIDE = "wrong_side"
    WRONG_ORDINAL = "wrong_ordinal"
    WRONG_SIZE = "wrong_size"
    WRONG_COLOR_WORD = "wrong_color_word"
    WRONG_COUNT = "wrong_count"
    ARGUMENT_REFUSED = "argument_refused"
    TEXT_REFUSED = "text_refused"
    REWRITE_LOST_FACT = "rewrite_lost_fact"
    # editing, rejections
    REGION_TOO_LARGE = "region_too_large"
    NOT_CHANGED = "not_changed"
    LEAKED = "leaked"
    SEAM_VISIBLE = "seam_visible"
    WRONG_COLOR = "wrong_color"
    UNEVEN_GROUND = "uneven_ground"
    NOT_FOUND_AGAIN = "not_found_again"
    CUT_OFF = "cut_off"
    WRONG_SCALE = "wrong_scale"
    FLOATING = "floating"
    REPEATED = "repeated"
    STILL_THERE = "still_there"
    REMOVAL_UNVERIFIABLE = "removal_unverifiable"
    NEW_OBJECT_APPEARED = "new_object_appeared"
    FLAT_FILL = "flat_fill"
    FOREIGN_FILL = "foreign_fill"
    SHADOW_LEFT = "shadow_left"
    ENTANGLED = "entangled"
    LOW_ACCURACY = "low_accuracy"
    LOW_SEAMLESSNESS = "low_seamlessness"
    # publish, rejections
    SPLIT_CONFLICT = "near_duplicate_across_splits"
    # failures of any stage
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"
    BACKEND_ERROR = "backend_error"
    OUT_OF_MEMORY = "out_of_memory"
    BAD_REPLY = "bad_reply"
    REFUSED_BY_MODEL = "refused_by_model"
    ENDPOINT_REFUSED = "endpoint_refused"


FAILURES = frozenset(
    {
        Reason.POINTER_FILE,
        Reason.UNREADABLE,
        Reason.SOURCE_MISSING,
        Reason.SOURCE_CHANGED,
        Reason.ACCESS_DENIED,
        Reason.SERVER_ERROR,
        Reason.SERVER_UNREACHABLE,
        Reason.CRASHED,
        Reason.TIMED_OUT,
        Reason.BACKEND_ERROR,
        Reason.OUT_OF_MEMORY,
        Reason.BAD_REPLY,
        Reason.REFUSED_BY_MODEL,
        Reason.ENDPOINT_REFUSED,
    }
)
"""The reasons that mean "could not tell"; ``--retry-failed`` tries these again. All others are rejections."""


class SampleError(GroundEditError):
    """Ends one sample, with a reason; caught by the stage runner and written as a row.

    Args:
        reason: why, from the closed list.
        detail: a short, deterministic explanation (no paths, times or addresses); ``""`` if the numbers explain it.
        measured: the numbers behind the decision.
    """

    def __init__(self, reason: Reason, detail: str = "", measured: tuple[Measurement, ...] = ()) -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail
        self.measured = measured

    def __reduce__(self) -> tuple[type[SampleError], tuple[Reason, str, tuple[Measurement, ...]]]:
        """Makes the exception picklable; the default would pass the whole message as the reason."""
        return type(self), (self.reason, self.detail, self.measured)


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its class if it has none; further lines are for logs only."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
