"""What rules all other things of the kind out: one sentence of the target localization, by the kind of wording."""

from __future__ import annotations

from tasks.backends.embedded.language.agreement import agreeing
from tasks.backends.embedded.language.realization import Writer
from tasks.backends.embedded.language.reference import COLORED, Reference
from tasks.backends.embedded.language.scene_facts import SceneFacts, same_label
from tasks.backends.embedded.nouns import noun

_OTHER_SIDE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top", "": ""}

_SAID_AS = {"one_of_its_color": "color"}
"""Kinds that rule out what another kind does."""


def ruled_out(facts: SceneFacts, reference: Reference, writer: Writer) -> str:
    """The sentence, ``""`` where no other thing of the kind is certain or the wording compares with none.

    Every kind of wording was chosen because it excludes all certain and possible rivals; this says so of its kind.
    """
    own = noun(facts.target.label)
    sure = [rival for rival in same_label(facts.rivals, facts.target.label) if rival.index >= 0]
    if not sure or reference.group:
        return ""
    kind = reference.kind.removeprefix(COLORED)
    kind = _SAID_AS.get(kind, kind)
    if kind == "ordinal":
        kind = {2: "second", 3: "third"}.get(reference.rank, "")
    if kind not in writer.entry("localization.elimination"):
        return ""
    worn = facts.edited if kind == "part_color" else reference.anchors[0] if reference.anchors else None
    slots = {
        **agreeing(own, writer, by_name=facts.part is not None),
        "noun": own.one,
        "many": own.many,
        "Every_other": writer.say("another" if len(facts.rivals) == 1 else "every_other", {}),
        "side": reference.side,
        "other_side": _OTHER_SIDE[reference.side],
        "color": reference.color,
        "some_clothes": noun(worn.label).described(reference.color) if worn is not None else "",
        "a": noun(worn.label).one if worn is not None else "",
    }
    return writer.say(f"localization.elimination.{kind}", slots)
