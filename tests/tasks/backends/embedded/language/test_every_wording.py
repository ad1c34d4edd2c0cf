"""Whatever wording a scene offers can be said, and its localization with it: no kind, side or rank is without words."""

from __future__ import annotations

import numpy as np

from prompts import load_data
from tasks.backends.embedded.language.localization import target_localization
from tasks.backends.embedded.language.realization import Writer
from tasks.backends.embedded.language.references import candidate_references
from tasks.backends.embedded.language.saying import say_reference
from tasks.backends.embedded.language.scene_facts import FactLimits, gather_facts
from tasks.records.edit_types import NO_ARGUMENT
from tasks.records.records import EditType, Reasoning
from tasks.stages.instruction.word_gates import Wording, draft_of
from tasks.stages.instruction.words.gates import check_words
from tests.tasks.stages.instruction.example_scenes import ALL, LABS, scene, target, thing

LIMITS = FactLimits(weak=0.2, named=0.55, color_share=0.7)
LABELS = (
    "cup",
    "cup",
    "cup",
    "person",
    "person",
    "chair",
    "laptop",
    "dining table",
    "couch",
    "dog",
    "handbag",
)


def _random_scene(draws: np.random.Generator):
    things: list[dict[str, object]] = []
    for _ in range(int(draws.integers(2, 7))):
        label = str(draws.choice(LABELS))
        width, height = (int(n) for n in draws.integers(60, 260, 2))
        x, y = int(draws.integers(0, 1000 - width)), int(draws.integers(0, 800 - height))
        color = str(draws.choice(sorted(LABS)))
        things.append(thing(label, (x, y, x + width, y + height), color, score=draws.uniform(0.6, 0.95)))
        if label == "person" and draws.random() < 0.7:
            shirt = (x + width // 5, y + height // 5, x + width - width // 5, y + height // 2)
            things.append(thing("shirt", shirt, str(draws.choice(sorted(LABS))), part_of=len(things) - 1))
    weak = (("cup", (10, 10, 60, 60), 0.3),) if draws.random() < 0.2 else ()
    return scene(things, weak=weak)


def refused(grounded, instruction: str, localization: str, names: tuple[str, ...]) -> list[str]:
    """Details of the gates that refuse these words of a removal."""
    wording = Wording(
        target=grounded,
        edit_type=EditType.REMOVE,
        asked=NO_ARGUMENT,
        argument=NO_ARGUMENT,
        replied_type="Remove",
        instruction=instruction,
        reasoning=Reasoning(
            scene_description="",
            target_localization=localization,
            editing_description="",
            post_edit_description="",
        ),
    )
    found = check_words(draft_of(wording), names)
    return [f"{each.name}: {each.detail}: {instruction} {localization}" for each in found if not each.passed]


def test_no_localization_says_what_the_gates_on_order_refuse():
    draws = np.random.default_rng(8)
    patterns = load_data("patterns_instructor")
    refusals, among = list[str](), 0
    for number in range(250):
        whole = _random_scene(draws)
        for index in range(len(whole.objects)):
            grounded = target(whole, index)
            facts = gather_facts(grounded, LIMITS)
            for reference in candidate_references(facts, LIMITS.color_share):
                writer = Writer(patterns=patterns, seed=number, key="k")
                words = say_reference(reference, facts, writer)
                text = target_localization(facts, reference, words, LIMITS, writer) or ""
                among += "and before another" in text
                refusals += refused(grounded, f"Remove {words}.", text, ("ordinal",))
    assert not refusals, refusals[:5]
    assert among


def test_every_wording_of_a_scene_can_be_said_with_its_localization():
    draws = np.random.default_rng(7)
    scenes = [*(make() for make in ALL), *(_random_scene(draws) for _ in range(250))]
    patterns = load_data("patterns_instructor")
    said = set()
    for number, whole in enumerate(scenes):
        for index in range(len(whole.objects)):
            facts = gather_facts(target(whole, index), LIMITS)
            for reference in candidate_references(facts, LIMITS.color_share):
                writer = Writer(patterns=patterns, seed=number, key="k")
                words = say_reference(reference, facts, writer)
                text = target_localization(facts, reference, words, LIMITS, writer)
                assert "{" not in words + (text or "")
                said.add((reference.kind, reference.side))
    sides = {kind: {side for k, side in said if k == kind} for kind, _ in said}
    assert sides["edge"] == {"top", "bottom"}
    assert sides["extreme"] == sides["ordinal"] == sides["half"] == {"left", "right"}
    assert len(sides) >= 20, sorted(sides)
