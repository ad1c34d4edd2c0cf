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


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Chooses and fills patterns. Each choice has its own random number, so that adding one does not change the others.

    Attributes:
        patterns: the mapping of a pattern file.
        seed: of the question.
        key: of the target, so that targets with equal seeds get different wordings.
    """

    patterns: Mapping[str, Any]
    seed: int
    key: str

    def say(self, path: str, slots: Mapping[str, str]) -> str:
        """One wording under a dotted path, filled.

        Raises:
            ConfigurationError: the pattern file has no such path, or a pattern names a slot without a value.
        """
        wordings = self.entry(path)
        options = [wordings] if isinstance(wordings, str) else list(wordings)
        return self.fill(options[self.draw(path, len(options))], slots, path)

    def draw(self, what: str, count: int) -> int:
        """A number in 0..count-1 for this decision."""
        return derive_seed(self.seed, self.key, what) % count

    def entry(self, path: str) -> Any:
        """The value under a dotted path of the pattern file."""
        node: Any = self.patterns
        for name in path.split("."):
            if not isinstance(node, Mapping) or name not in node:
                msg = f"patterns: nothing under {path!r}"
                raise ConfigurationError(msg)
            node = node[name]
        return node

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
    """``a white cup``, ``an orange chair``."""
    return f"{article(phrase)} {phrase}"


def upper_first(text: str) -> str:
    """The text with its first letter in upper case, the rest as it is."""
    return text[:1].upper() + text[1:]
