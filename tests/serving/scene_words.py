"""Free English about known scenes: words that mean one object alone, instructions and reasoning with varied wording."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from tasks.records.records import EditType
from tests.serving.scene_eyes import KnownObject, KnownScene

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
PLURALS = {
    "person": "people",
    "man": "men",
    "woman": "women",
    "child": "children",
    "knife": "knives",
    "bus": "buses",
}

ARGUMENTS: dict[EditType, tuple[str, ...]] = {
    EditType.COLOR: ("blue", "green", "red", "yellow", "purple", "orange"),
    EditType.REMOVE: ("none",),
    EditType.REPLACE: ("wooden crate", "clay jug", "paper lantern"),
    EditType.ADD: ("small brass bell", "paper note", "tiny umbrella"),
    EditType.MATERIAL: ("marble", "polished copper", "oak wood"),
    EditType.ACTION: ("jump", "kneel down", "wave"),
    EditType.APPEARANCE: ("old and weathered", "covered in frost", "brand new"),
    EditType.TEXT: ("OPEN", "NO ENTRY", "WELCOME"),
}
"""What a target may become, where the pipeline leaves it to the writer."""

FORMS: dict[EditType, tuple[str, ...]] = {
    EditType.COLOR: (
        "Change the color of {ref} to {arg}.",
        "Turn {ref} {arg}.",
        "Make {ref} {arg}.",
        "Recolor {ref} so that it becomes {arg}.",
    ),
    EditType.REMOVE: ("Remove {ref}.", "Erase {ref} from the picture.", "Take {ref} out of the scene."),
    EditType.REPLACE: ("Replace {ref} with {a_arg}.", "Swap {ref} for {a_arg}."),
    EditType.ADD: ("Put {a_arg} on {ref}.", "Add {a_arg} to {ref}."),
    EditType.MATERIAL: ("Change the material of {ref} to {arg}.", "Make {ref} out of {arg}."),
    EditType.ACTION: ("Make {ref} {arg}.", "Have {ref} {arg}."),
    EditType.APPEARANCE: ("Make {ref} look {arg}.", "Give {ref} a new look, {arg}."),
    EditType.TEXT: ("Change the writing on {ref} to '{arg}'.", "Let the text on {ref} read '{arg}'."),
}

CHANGES: dict[EditType, tuple[str, ...]] = {
    EditType.COLOR: (
        "Its surface is recolored to {arg}, while shape, texture and shading are kept.",
        "The color of the {label} changes to {arg}; its form and its place stay the same.",
    ),
    EditType.REMOVE: (
        "The {label} is erased completely, and the ground behind it is continued.",
        "This {label} is taken out and the space it leaves is filled with what surrounds it.",
    ),
    EditType.REPLACE: (
        "{A_arg} takes the place of the {label}, at about the same size and in the same light.",
    ),
    EditType.ADD: ("{A_arg} is added to the {label}, with light and perspective that fit.",),
    EditType.MATERIAL: ("The {label} is shown as if made of {arg}, and its outline is kept.",),
    EditType.ACTION: ("The pose of the {label} changes: it is shown to {arg} in the same place.",),
    EditType.APPEARANCE: ("The look of the {label} changes to {arg}, and its outline is kept.",),
    EditType.TEXT: ("The writing on the {label} becomes '{arg}' in the same style.",),
}

RESULTS: dict[EditType, tuple[str, ...]] = {
    EditType.COLOR: ("The {label} is now {arg}.", "Where it stood before, the {label} now appears in {arg}."),
    EditType.REMOVE: ("The {label} is gone and plain ground is seen in its place.",),
    EditType.REPLACE: ("{A_arg} now stands where the {label} was.",),
    EditType.ADD: ("The {label} now carries {a_arg}.",),
    EditType.MATERIAL: ("The {label} now looks as if it were made of {arg}.",),
    EditType.ACTION: ("The {label} is now shown in the new pose.",),
    EditType.APPEARANCE: ("The {label} now looks {arg}.",),
    EditType.TEXT: ("The {label} now reads '{arg}'.",),
}

FRAMES = (
    "Please {lowered}",
    "Could you {lowered_open}?",
    "I would like you to {lowered}",
    "Kindly {lowered}",
)


def references(scene: KnownScene, index: int) -> list[str]:
    """Wordings, each of which means this object and no other one of the scene."""
    thing = scene.objects[index]
    same = [i for i, other in enumerate(scene.objects) if other.label == thing.label]
    colored = [i for i in same if scene.objects[i].color == thing.color]
    found = [f"the {thing.label}"] if len(same) == 1 else []
    if thing.color and len(colored) == 1:
        found.append(f"the {thing.color} {thing.label}")
    for start, end, axis in (("left", "right", 0), ("top", "bottom", 1)):
        order = sorted(same, key=lambda i: scene.objects[i].box.center[axis])
        if len(same) == 1 or not _is_clear([scene.objects[i] for i in order], scene.size[axis], axis):
            continue
        place = order.index(index)
        if axis == 0 and place == 0:
            found += [f"the leftmost {thing.label}", f"the {thing.label} on the far left"]
        elif axis == 0 and place == len(order) - 1:
            found += [f"the rightmost {thing.label}", f"the {thing.label} on the far right"]
        if place < len(ORDINALS):
            found.append(f"the {ORDINALS[place]} {thing.label} from the {start}")
        if len(order) - 1 - place < len(ORDINALS):
            found.append(f"the {ORDINALS[len(order) - 1 - place]} {thing.label} from the {end}")
    return found


def referred(instruction: str, scene: KnownScene) -> tuple[int, ...]:
    """Objects that an instruction means: those of the longest wording in it."""
    hits = [
        (len(words), index)
        for index in range(len(scene.objects))
        for words in references(scene, index)
        if re.search(rf"\b{re.escape(words)}\b", instruction, re.IGNORECASE)
    ]
    longest = max((length for length, _ in hits), default=0)
    return tuple(sorted({index for length, index in hits if length == longest}))


def chosen_argument(edit_type: EditType, thing: KnownObject, draw: random.Random) -> str:
    """Something that the object can become and is not yet."""
    return draw.choice([a for a in ARGUMENTS[edit_type] if a != thing.color])


def written(
    scene: KnownScene, index: int, edit_type: EditType, argument: str, seed: int
) -> dict[str, object] | None:
    """An instructor's reply as JSON values, true of the scene; None when no wording means the object alone."""
    wordings = references(scene, index)
    if not wordings:
        return None
    draw = random.Random(seed)
    thing = scene.objects[index]
    slots = _slots(draw.choice(wordings), thing, argument)
    others = "Everything else in the picture stays as it was."
    return {
        "Editing_Type": edit_type.value,
        "Editing_Argument": "" if edit_type is EditType.REMOVE else argument,
        "Editing_Instruction": draw.choice(FORMS[edit_type]).format(**slots),
        "CoT": {
            "1_Scene_Description": _scene(scene, draw),
            "2_Target_Localization": _place(scene, index, slots["ref"], draw),
            "3_Editing_Description": f"{draw.choice(CHANGES[edit_type]).format(**slots)} Nothing else is altered.",
            "4_Post_Edit_Description": f"{draw.choice(RESULTS[edit_type]).format(**slots)} {others}",
        },
        "Refusal": "",
    }


def rewritten(instruction: str, seed: int) -> str:
    """The same instruction in another of its forms, or within a polite frame."""
    draw = random.Random(seed)
    for forms in FORMS.values():
        # Between two slots that only a blank parts nobody can tell where one ends.
        for form in (f for f in forms if "{ref} {arg}" not in f):
            pattern = re.escape(form)
            for slot in ("ref", "arg", "a_arg"):
                pattern = pattern.replace(rf"\{{{slot}\}}", f"(?P<{slot}>.+?)")
            said = re.fullmatch(pattern, instruction)
            same = [f for f in forms if f != form and ("{a_arg}" in f) == ("{a_arg}" in form)]
            if said and same and draw.random() < 0.6:
                return draw.choice(same).format(**said.groupdict())
    lowered = instruction[0].lower() + instruction[1:]
    return draw.choice(FRAMES).format(lowered=lowered, lowered_open=lowered.rstrip("."))


def _slots(ref: str, thing: KnownObject, argument: str) -> dict[str, str]:
    a_arg = _with_article(argument)
    return {
        "ref": ref,
        "arg": argument,
        "a_arg": a_arg,
        "A_arg": a_arg[0].upper() + a_arg[1:],
        "label": thing.label,
    }


def _scene(scene: KnownScene, draw: random.Random) -> str:
    counted = Counter(thing.label for thing in scene.objects)
    things = [
        _with_article(label) if n == 1 else f"{COUNTS[n] if n < len(COUNTS) else n} {_plural(label)}"
        for label, n in counted.items()
    ]
    return draw.choice(
        (
            f"The picture shows {_listed(things)} in plain daylight. They can all be seen well.",
            f"In this photograph there are several things: {_listed(things)}. The light is even.",
            f"This is a quiet scene with {_listed(things)}. Nothing is cut off by the border.",
        )
    )


def _place(scene: KnownScene, index: int, ref: str, draw: random.Random) -> str:
    thing = scene.objects[index]
    named = f"{thing.color} {thing.label}" if thing.color else thing.label
    side = thing.box.center[0] / scene.size[0]
    where = "left side" if side < 0.4 else "right side" if side > 0.6 else "middle"
    sentences = [
        draw.choice(
            (f"The target is {_with_article(named)}.", f"What is to be edited is {_with_article(named)}.")
        ),
        draw.choice(
            (f"It is in the {where} of the picture.", f"It can be found in the {where} of the picture.")
        )
        if where == "middle"
        else f"It is on the {where} of the picture.",
        draw.choice((f"In short, it is {ref}.", f"So the words mean {ref}.")),
    ]
    return " ".join(sentences)


def _is_clear(order: Sequence[KnownObject], length: int, axis: int) -> bool:
    """Whether neighbors in an order stand far enough apart for an order to be seen."""
    centers = [thing.box.center[axis] for thing in order]
    return all(b - a > 0.06 * length for a, b in pairwise(centers))


def _with_article(name: str) -> str:
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _plural(label: str) -> str:
    return PLURALS.get(label, f"{label}es" if label.endswith(("s", "x", "ch", "sh")) else f"{label}s")


def _listed(things: Sequence[str]) -> str:
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])} and {things[-1]}"
