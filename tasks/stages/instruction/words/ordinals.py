"""The gate on ranks: first, second, last, from a stated side, in rows, or in any of the usual orders."""

from __future__ import annotations

from tasks.records.errors import Reason
from tasks.stages.instruction.words.counting import Counted, axis_of, peers_of
from tasks.stages.instruction.words.counts import counted_in, unsure_count
from tasks.stages.instruction.words.draft import Draft, Finding, finding
from tasks.stages.instruction.words.phrases import NounPhrase
from tasks.stages.instruction.words.places import speaking_of_target
from tasks.stages.instruction.words.reading import Reading
from tasks.stages.instruction.words.scene import AXES, Peers, Thing, WordScene, rank_range, rows, usual_starts
from tasks.stages.instruction.words.vocabulary import words


def ordinal(draft: Draft) -> Finding:
    """Checks first, second, last: from a stated side, in rows, or in any usual order; those of a part's whole."""
    draft = draft.of_whole()
    faults, decided = [], False
    unsure, counted = unsure_count(draft), counted_in(draft)
    reason = None
    for name, reading, named, _ in speaking_of_target(draft):
        for phrase in named:
            if (
                not phrase.ordinals
                or reading.word(phrase.end) in words()["not_counted"]
                or phrase.text in words()["not_counted"]
            ):
                continue
            fits, from_where, opposite = _fits_ordinals(reading, phrase, draft.scene, counted)
            decided = decided or (fits is not None and not unsure)
            if fits is False and not unsure:
                found = _rank_words(reading, phrase, draft.scene, counted)
                faults.append(f"{name} says {reading.quoted(phrase)!r} {from_where}; the target is {found}")
                # Of several ranks that would fit from the other side, those said twice are meant: the side is wrong.
                if opposite and (len(phrase.ordinals) == 1 or _is_repeated(draft, phrase)):
                    reason = Reason.WRONG_SIDE
        if (fault := _wrong_row(reading, draft.scene)) is not None:
            decided = True
            if fault:
                faults.append(f"{name} {fault}")
    return finding(faults, decided, reason=reason)


def _is_repeated(draft: Draft, phrase: NounPhrase) -> bool:
    said = [each.ordinals for _, text in draft.texts() for each in draft.read(text).phrases]
    return said.count(phrase.ordinals) > 1


def _fits_ordinals(
    reading: Reading, phrase: NounPhrase, scene: WordScene, counted: Counted
) -> tuple[bool | None, str, bool]:
    """Whether ranks fit, where they start counting (in words), and whether they fit from the other side only."""
    start, at = axis_of(reading, phrase)
    if start == "other":
        return None, "", False
    peers = peers_of(reading, phrase, scene, at if start else None, counted)
    if not _targets_of(phrase, scene) or len(peers.all) < 2:
        return None, "", False
    in_row = _peers_in_row(reading, phrase, peers, scene)
    starts = (start,) if start else ("left", "right") if in_row else usual_starts(peers.all)
    peers = in_row or peers
    fits = any(_ranks_fit(phrase, scene, peers, each) for each in starts)
    opposite = False
    if not fits and start:
        other = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}[start]
        # An offset of one, or a rank from the nearer side, is more likely a miscount than the wrong side.
        miscounts = (
            len(scene.target) == 1
            and abs(rank_range(scene.targets[0], peers, start)[0] - phrase.ordinals[0]) == 1
        )
        nearer = rank_range(scene.targets[0], peers, start)[0] < rank_range(scene.targets[0], peers, other)[0]
        opposite = _ranks_fit(phrase, scene, peers, other) and not (
            (miscounts or nearer) and phrase.ordinals[0] > 1
        )
    return fits, f"from the {start}" if start else "", opposite


def _peers_in_row(reading: Reading, phrase: NounPhrase, peers: Peers, scene: WordScene) -> Peers | None:
    """``the second bread in the third row``: the target's own row, if there are several."""
    following = reading.words(phrase.end, min(phrase.end + 10, reading.sentence_end(phrase.start)))
    if "row" not in following or not {"in", "of"} & set(following[: following.index("row")]):
        return None
    found = rows(peers.all)
    row = next((each for each in found if scene.targets[0] in each), [])
    return Peers(sure=tuple(row), maybe=()) if len(found) > 1 and len(row) > 1 else None


def _targets_of(phrase: NounPhrase, scene: WordScene) -> tuple[Thing, ...]:
    """The targets a phrase may mean: all of them, or any one of several."""
    return scene.targets if len(phrase.ordinals) in (1, len(scene.target)) else ()


def _ranks_fit(phrase: NounPhrase, scene: WordScene, peers: Peers, start: str) -> bool:
    axis = AXES[start]
    targets = sorted(scene.targets, key=axis)
    if (
        phrase.number
        and len(phrase.ordinals) == 1
        and len(targets) == phrase.number
        and phrase.ordinals[0] == 1
    ):
        return all(_rank_fits(rank, thing, peers, start) for rank, thing in enumerate(targets, start=1))
    if len(phrase.ordinals) == 1:
        return any(_rank_fits(phrase.ordinals[0], thing, peers, start) for thing in targets)
    ranks = sorted(phrase.ordinals, key=lambda rank: rank if rank > 0 else 99)
    return all(_rank_fits(rank, thing, peers, start) for rank, thing in zip(ranks, targets, strict=False))


def _rank_fits(rank: int, thing: Thing, peers: Peers, start: str) -> bool:
    if rank == -1:
        opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}[start]
        rank, start = 1, opposite
    low, high = rank_range(thing, peers, start)
    return low <= rank <= high


def _wrong_row(reading: Reading, scene: WordScene) -> str | None:
    """A fault, ``""`` if the row fits, None if none is named or rows cannot be determined."""
    if len(scene.target) > 1:
        return None
    kind = [thing for thing in scene.things if thing.label == scene.label]
    found = rows(kind)
    if len(kind) < 3:
        return None
    at = next(i for i, row in enumerate(found) if scene.targets[0] in row)
    for phrase in reading.phrases:
        if (
            phrase.noun != "row"
            or len(phrase.ordinals) != 1
            or reading.word(phrase.start - 1) not in ("in", "of", "on")
        ):
            continue
        start, _ = axis_of(reading, phrase)
        ranks = {"top": {at + 1}, "bottom": {len(found) - at}}.get(start, {at + 1, len(found) - at})
        if phrase.ordinals[0] not in ranks | ({-1} if at in (0, len(found) - 1) else set()):
            return (
                f"says {reading.quoted(phrase)!r}, the target is in row {at + 1} of {len(found)} from the top"
            )
        return ""
    return None


def _rank_words(reading: Reading, phrase: NounPhrase, scene: WordScene, counted: Counted) -> str:
    start, at = axis_of(reading, phrase)
    peers = peers_of(reading, phrase, scene, at if start else None, counted)
    said = []
    for thing in scene.targets:
        low, high = rank_range(thing, peers, start if start in AXES else "left")
        said.append(f"{low}" if low == high else f"{low} to {high}")
    return f"number {', '.join(said)} from the {start if start in AXES else 'left'} of {len(peers.all)}"
