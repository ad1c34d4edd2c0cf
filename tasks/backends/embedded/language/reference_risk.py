"""Estimated risks of a wording: overlooked instances of the class, doubtful anchors."""

from __future__ import annotations

from tasks.backends.embedded.language.scene_facts import Entity, SceneFacts, same_label
from tasks.backends.embedded.nouns import noun

CROWD = 4
"""Number of possible instances from which more overlooked ones are expected."""

CLEAR, CLEARLY_SEEN = 0.35, 0.9
"""Factor on the chance where all instances that are seen score at least the second: then the scene is easy to see, and
many of them make no more overlooked ones likely."""


def overlooked_chance(facts: SceneFacts) -> float:
    """Chance that another instance of the target's class is in the picture, undetected."""
    chance = noun(facts.target.label).missed
    same = same_label(facts.rivals, facts.target.label)
    chance += 0.03 * sum(1 for rival in same if rival.index < 0)
    clear = bool(same) and all(entity.score >= CLEARLY_SEEN for entity in (facts.target, *same))
    if clear:
        return CLEAR * chance
    return min(0.6, chance * (1.6 if len(same) + 1 >= CROWD else 1.0))


def anchor_risk(anchor: Entity, own: Entity, facts: SceneFacts) -> float:
    """Chance that the anchor has a wrong label, or that a second one was overlooked."""
    doubtful = 0.25 * max(0.0, 0.9 - anchor.score)
    tiny = 0.05 if anchor.box.area < 0.2 * own.box.area else 0.0
    small = 0.05 if anchor.box.area < 0.004 * facts.width * facts.height else 0.0
    return doubtful + tiny + small + 0.3 * noun(anchor.label).missed
