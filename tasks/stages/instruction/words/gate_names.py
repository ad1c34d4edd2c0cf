"""Names of the word gates, for settings that list them; the gates themselves are in `gates`."""

from __future__ import annotations

ALL = "all"
"""Means every gate, in a list of names."""

NAMES = (
    "refusal",
    "schema",
    "degenerate",
    "marking",
    "one_edit",
    "edit_type",
    "rewriting",
    "noun",
    "result",
    "side",
    "ordinal",
    "size",
    "color",
    "count",
    "round_trip",
)
"""In the order in which gates are asked and reported: the round trip last, since where words are plainly wrong, that
says more than where they led somebody."""
