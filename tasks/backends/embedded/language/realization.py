"""Fills sentence patterns: seeded choice of wordings, slots, lists, articles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.backends.embedded.nouns import article
from tasks.records.errors import ConfigurationError
from tasks.records.seeds import derive_seed

_SLOT = re.compile(r"\{(\w+)\}")

TURNS, FEW_TURNS, MANY = 4, 2, 8
"""Texts about one photograph that share no wording, where there are `MANY` wordings and where there are fewer."""

_NO_ARTICLE = frozenset({"a", "an", "another", "some", "one", "two", "three", "the"})
"""First words of a phrase that takes no article."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Chooses and fills patterns. Each choice has its own random number, so that adding one does not change the others.

    Texts about one photograph may take turns: each turn has wordings of its own, and draws among them only.

    Attributes:
        patterns: the mapping of a pattern file.
        seed: of the question.
        key: of the photograph, which decides what wordings the first turn has.
        turn: number of this text among those with the key, None for a text that takes no turns.
    """

    patterns: Mapping[str, Any]
    seed: int
    key: str
    turn: int | None = None

    def say(self, path: str | Sequence[str], slots: Mapping[str, str]) -> str:
        """One wording under a dotted path, or under any of several, filled.

        Raises:
            ConfigurationError: the pattern file has no such path, or a pattern names a slot without a value.
        """
        paths = [path] if isinstance(path, str) else list(path)
        options = [wording for each in paths for wording in self._wordings(each)]
        return self.fill(options[self.draw(paths[0], len(options))], slots, paths[0])

    def draw(self, what: str, count: int) -> int:
        """A number in 0..count-1 for this decision: one of those that are this turn's."""
        if self.turn is None:
            return derive_seed(self.seed, self.key, what) % count
        turns = min(count, TURNS if count >= MANY else FEW_TURNS)
        first = (derive_seed(0, self.key, what) + self.turn) % turns
        own = range(first, count, turns)
        return own[derive_seed(self.seed, f"{self.key}:{self.turn}", what) % len(own)]

    def entry(self, path: str) -> Any:
        """The value under a dotted path of the pattern file."""
        node: Any = self.patterns
        for name in path.split("."):
            if not isinstance(node, Mapping) or name not in node:
                msg = f"patterns: nothing under {path!r}"
                raise ConfigurationError(msg)
            node = node[name]
        return node

    def _wordings(self, path: str) -> list[str]:
        found = self.entry(path)
        return [found] if isinstance(found, str) else [str(wording) for wording in found]

    def fill(self, pattern: str, slots: Mapping[str, str], path: str = "") -> str:
        """A pattern with its slots filled."""

        def value(match: re.Match[str]) -> str:
            if match.group(1) not in slots:
                msg = f"patterns.{path}: no value for {{{match.group(1)}}}"
                raise ConfigurationError(msg)
            return slots[match.group(1)]

        return _SLOT.sub(value, pattern)

    def listing(self, items: Sequence[str], path: str = "and") -> str:
        """``a, b and c``, joined by the pattern under ``path``."""
        if len(items) == 1:
            return items[0]
        return self.fill(self.entry(path), {"head": ", ".join(items[:-1]), "last": items[-1]}, path)


def with_article(phrase: str) -> str:
    """``a white cup``, ``an orange chair``, ``another chair``."""
    return phrase if phrase.partition(" ")[0] in _NO_ARTICLE else f"{article(phrase)} {phrase}"


def upper_first(text: str) -> str:
    """The text with its first letter in upper case, the rest as it is."""
    return text[:1].upper() + text[1:]
