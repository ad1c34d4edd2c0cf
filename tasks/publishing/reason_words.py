"""Every reason of the closed list in plain words: a short title, and a sentence for readers of the gallery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.records.errors import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonWords:
    """The words for a reason on a page.

    Attributes:
        title: two or three words, as a heading and in tables.
        meaning: one sentence.
        recorded: a remark on the reason's code, where that differs from the title.
        by_gate: failed gate -> another title, for a reason that covers more than one kind of fault.
    """

    title: str
    meaning: str
    recorded: str = ""
    by_gate: Mapping[str, str] = field(default_factory=dict)

    def title_for(self, failed: Sequence[str]) -> str:
        """The title for these failed gates; the general one if they do not agree on another."""
        titles = {self.by_gate.get(name, self.title) for name in failed}
        return titles.pop() if len(titles) == 1 else self.title


def _say(title: str, meaning: str, recorded: str = "", **by_gate: str) -> ReasonWords:
    return ReasonWords(title=title, meaning=meaning, recorded=recorded, by_gate=by_gate)


REASONS: Mapping[Reason, ReasonWords] = {
    Reason.NOT_AN_IMAGE: _say("not an image", "The file's first bytes are not those of any picture format."),
    Reason.EMPTY_FILE: _say("empty file", "The file holds no bytes at all."),
    Reason.DECODE_ERROR: _say("decode error", "The file looks like a picture but cannot be decoded."),
    Reason.TRUNCATED: _say("truncated", "The file ends before its picture does."),
    Reason.UNSUPPORTED_FORMAT: _say(
        "unsupported format", "It is a picture of a kind that is not read here, such as raw sensor data."
    ),
    Reason.UNSUPPORTED_COLOR: _say(
        "unsupported color",
        "Its colors are stated in a way that is not converted here, such as high dynamic range.",
    ),
    Reason.ANIMATED: _say("animated", "The file holds several frames or pages instead of one photograph."),
    Reason.TOO_SMALL: _say("too small", "The shorter side has too few pixels to edit an object well."),
    Reason.TOO_MANY_PIXELS: _say("too many pixels", "The picture has more pixels than the configured limit."),
    Reason.TOO_MANY_BYTES: _say("too many bytes", "The file is larger than the configured limit."),
    Reason.EXTREME_ASPECT: _say(
        "extreme aspect", "The picture is far longer than it is wide, or the reverse."
    ),
    Reason.DUPLICATE: _say(
        "duplicate", "The same bytes were found under another name, which was used instead."
    ),
    Reason.EXCLUDED: _say("excluded", "The photograph is on the list of those to leave out."),
    Reason.BAD_NAME: _say("bad name", "The file's name cannot be represented safely as text."),
    Reason.BAD_ARCHIVE_MEMBER: _say(
        "bad archive member", "This part of the archive is damaged or is not a plain file."
    ),
    Reason.BAD_ANNOTATION: _say(
        "bad annotation", "The masks shipped with the photograph cannot be read or do not fit it."
    ),
    Reason.POINTER_FILE: _say(
        "pointer file", "Only a pointer of Git LFS or git-annex is there; the photograph was not fetched."
    ),
    Reason.UNREADABLE: _say(
        "unreadable", "The bytes could not be read, so nothing is known about the picture."
    ),
    Reason.SOURCE_MISSING: _say("source missing", "The file was listed but no longer exists."),
    Reason.ACCESS_DENIED: _say(
        "access denied", "The web server or bucket refuses to give the photograph to whoever asks."
    ),
    Reason.SERVER_ERROR: _say(
        "server error", "The photograph's web server answered with an error instead of the photograph."
    ),
    Reason.SERVER_UNREACHABLE: _say(
        "server unreachable", "The photograph's web server could not be reached or did not answer in time."
    ),
    Reason.SOURCE_CHANGED: _say("source changed", "The file is no longer the one that was listed or stored."),
    Reason.TOO_FEW_ENTITIES: _say(
        "too few entities", "Too few objects were found for a scene in which one has to be singled out."
    ),
    Reason.NO_TARGET: _say(
        "no target",
        "Objects were found, but none whose label, mask, size and position are reliable enough to edit.",
    ),
    Reason.MASK_NOT_PRECISE: _say(
        "doubtful target",
        "The target judge could not confirm the object: its label, or the outline of its mask.",
        "which names only the mask, but also covers a doubtful label",
        label_confidence="label in doubt",
        label_objection="label in doubt",
        edge_contrast="mask outline in doubt",
    ),
    Reason.EASY_TARGET: _say(
        "easy target", "The object is found at a glance, so an instruction about it would take no reasoning."
    ),
    Reason.TARGET_REFUSED: _say(
        "target refused",
        "The target judge, asked about both at once, found the mask not precise or the object found at a glance.",
    ),
    Reason.NO_EDIT_TYPE: _say("no edit type", "None of the edit types on offer suits this object."),
    Reason.NO_UNIQUE_REFERENCE: _say(
        "no unique reference",
        "No wording was found that refers to this object and to nothing else in the scene.",
    ),
    Reason.WRONG_EDIT_TYPE: _say(
        "wrong edit type", "The words ask for another kind of edit than the one chosen."
    ),
    Reason.PARTS_DISAGREE: _say(
        "parts disagree", "A part of the reasoning lacks a fact that the instruction states."
    ),
    Reason.MENTIONS_MARKING: _say(
        "mentions marking", "The words speak of the red mark, which a reader of the instruction never sees."
    ),
    Reason.AMBIGUOUS_REFERENCE: _say(
        "ambiguous reference",
        "Read together with the scene, the words lead to another object, to several or to none.",
    ),
    Reason.DEGENERATE_TEXT: _say("degenerate text", "A text is endless or repeats itself."),
    Reason.TWO_EDITS: _say("two edits", "The instruction asks for more than one edit."),
    Reason.REWRITE_CONTRADICTS: _say(
        "rewriting contradicts", "The rewritten instruction contradicts the one it was made from."
    ),
    Reason.WRONG_NOUN: _say("wrong noun", "The words name another kind of object than the target."),
    Reason.WRONG_ARGUMENT: _say(
        "wrong argument", "The words turn the target into something else than was asked for."
    ),
    Reason.WRONG_SIDE: _say("wrong side", "The words place the target on another side of the picture."),
    Reason.WRONG_ORDINAL: _say("wrong ordinal", "Counted as the words say, another object is meant."),
    Reason.WRONG_SIZE: _say(
        "wrong size", "The words call the target larger or smaller than it is among its kind."
    ),
    Reason.WRONG_COLOR_WORD: _say(
        "wrong color word", "The words state a color that contradicts the picture or the edit."
    ),
    Reason.WRONG_COUNT: _say(
        "wrong count", "The words state a number of objects that contradicts what was found."
    ),
    Reason.REWRITE_LOST_FACT: _say(
        "rewrite lost fact", "Rewriting the instruction dropped or added a fact such as a color or a side."
    ),
    Reason.REGION_TOO_LARGE: _say(
        "region too large", "The edit would cover too much of the picture to be filled in believably."
    ),
    Reason.NOT_CHANGED: _say("not changed", "The object looks almost the same after the edit as before."),
    Reason.LEAKED: _say("leaked", "The editor also changed the area around the object."),
    Reason.SEAM_VISIBLE: _say(
        "seam visible", "An edge can be seen where the edited part meets the rest of the photograph."
    ),
    Reason.WRONG_COLOR: _say("wrong color", "The object does not have the requested color after the edit."),
    Reason.UNEVEN_GROUND: _say(
        "uneven ground",
        "The ground is not even: not on the place for a copied thing, or not around the thing to take out.",
    ),
    Reason.NOT_FOUND_AGAIN: _say(
        "not found again", "The detector does not find the new thing where the edit put it."
    ),
    Reason.CUT_OFF: _say(
        "cut off", "The new thing is not whole: the picture's border or something else cuts it."
    ),
    Reason.WRONG_SCALE: _say(
        "wrong scale", "The new thing is larger or smaller than the perspective of the photograph allows."
    ),
    Reason.FLOATING: _say("floating", "The new thing does not stand on the ground, or darkens it nowhere."),
    Reason.REPEATED: _say("repeated", "The new thing runs into the one beside which it was put."),
    Reason.STILL_THERE: _say(
        "still there", "After the edit the old object, or its outline, can still be found in its place."
    ),
    Reason.REMOVAL_UNVERIFIABLE: _say(
        "removal unverifiable",
        "The detector did not find the object before the edit, so not finding it afterwards proves nothing.",
    ),
    Reason.NEW_OBJECT_APPEARED: _say(
        "new object appeared", "The fill shows an object that was not there before."
    ),
    Reason.FLAT_FILL: _say("flat fill", "The fill is smooth where its environment has texture: a smear."),
    Reason.FOREIGN_FILL: _say(
        "foreign fill", "The fill has patches of a color or texture that nothing around it has."
    ),
    Reason.SHADOW_LEFT: _say(
        "shadow left",
        "The shadow or reflection of the removed object, or a smear in its place, is still seen.",
    ),
    Reason.ENTANGLED: _say(
        "entangled",
        "The object is too entangled with others, or the edit covers them, so that it would not be clean.",
    ),
    Reason.LOW_ACCURACY: _say(
        "low accuracy", "The edit judge found that the edit does too little of what was asked."
    ),
    Reason.LOW_SEAMLESSNESS: _say(
        "low seamlessness", "The edit judge found that the edit does not blend in well enough."
    ),
    Reason.SPLIT_CONFLICT: _say(
        "near-duplicate across splits",
        "Nearly the same photograph is in another split, which would leak into tests.",
        "since both splits have a claim to it",
    ),
    Reason.CRASHED: _say("crashed", "The program crashed on it, so nothing is known about it."),
    Reason.TIMED_OUT: _say("timed out", "It took longer than the time limit and was abandoned."),
    Reason.BACKEND_ERROR: _say("backend error", "The model reported an error for this input."),
    Reason.OUT_OF_MEMORY: _say(
        "out of memory", "The model ran out of memory on this input, even with nothing else running."
    ),
    Reason.ARGUMENT_REFUSED: _say(
        "argument refused", "The editor cannot turn the target into what the instructor chose."
    ),
    Reason.TEXT_REFUSED: _say("text refused", "The text judge found that words and picture do not agree."),
    Reason.BAD_REPLY: _say("bad reply", "The model's replies do not have the required form."),
    Reason.REFUSED_BY_MODEL: _say("refused by model", "The model declined to answer this question."),
    Reason.ENDPOINT_REFUSED: _say(
        "endpoint refused", "The model's server rejected this question as too long or too large."
    ),
}
"""The words for every reason; `tests.tasks.publishing.test_reason_words` checks that the list is complete."""


def reason_words(code: str) -> ReasonWords:
    """The words for a reason, by its value in rows."""
    return REASONS[Reason(code)]


def reason_title(code: str) -> str:
    """The title alone, for tables."""
    return reason_words(code).title
