"""Reasons why earlier answers were refused, as a part of the next question."""

from __future__ import annotations

from collections.abc import Sequence

from prompts import Prompt


def refusals_text(prompt: Prompt, refusals: Sequence[str]) -> tuple[str, ...]:
    """One text that lists the reasons, or nothing; ``prompt`` has the sentences ``refused`` and ``refusal``."""
    if not refusals:
        return ()
    lines = [prompt.sentence("refusal", reason=reason) for reason in refusals]
    return ("\n".join([prompt.sentence("refused"), *lines]),)
