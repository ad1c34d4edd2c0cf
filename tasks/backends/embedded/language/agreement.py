"""Grammar of number: pronouns and verb forms that agree with a noun, as slots of sentence patterns."""

from __future__ import annotations

from tasks.backends.embedded.language.realization import Writer, upper_first
from tasks.backends.embedded.nouns import Noun


def agreeing(word: Noun, writer: Writer, *, by_name: bool = False, again: bool = False) -> dict[str, str]:
    """The slots whose words depend on what the sentence is about.

    Args:
        word: of what it is about.
        writer: holds the tables ``pronouns`` and ``verbs``.
        by_name: say "the car" for "it", where another thing is "it" in the same text.
        again: say "they" of a person whom the sentence before called "the person".

    Returns:
        ``it``, ``them`` (the object of a verb), ``its``, ``that``, ``this``, the first three also with a capital; the
        verbs ``is``, ``was``, ``has``, ``does``; the endings ``s`` and ``es`` of any other verb; and ``this_one``
        ("this person"), whose verbs begin with ``one_``.
    """
    pronouns, verbs = writer.entry("pronouns"), writer.entry("verbs")
    is_person = word.kind == "person"
    named, they = by_name and not is_person, again and is_person
    row = pronouns["person_again" if they else "person" if is_person else "things" if word.pair else "thing"]
    slots = {str(name): str(value) for name, value in row.items()}
    if named:
        slots |= {"it": f"the {word.one}", "them": f"the {word.one}", "its": f"the {word.one}'s"}
    slots |= {str(name): str(value) for name, value in verbs["many" if word.pair or they else "one"].items()}
    slots |= {f"one_{name}": str(value) for name, value in verbs["many" if word.pair else "one"].items()}
    return {**slots, **{upper_first(name): upper_first(slots[name]) for name in ("it", "its", "this")}}
