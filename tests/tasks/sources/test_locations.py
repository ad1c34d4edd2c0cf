"""Spelling of locations: reversible, printable, unique."""

import os

import numpy as np

from tasks.records.outcomes import SourceEntry
from tasks.sources.locations import escape, join, location_of, unescape, with_unique_locations


def test_any_bytes_survive_escaping_and_stay_apart():
    rng = np.random.default_rng(4)
    alphabet = np.frombuffer(b"a%0AFf\n\x00\x7f\xff\xc3\xa9\xed\xa0\x80/.# \xe2\x80\xa8", np.uint8)
    seen: dict[str, str] = {}
    for _ in range(3000):
        name = os.fsdecode(bytes(rng.choice(alphabet, int(rng.integers(1, 9)))))
        escaped = escape(name)
        assert unescape(escaped) == name
        assert seen.setdefault(escaped, name) == name
        escaped.encode("utf-8")
        assert escaped.isprintable() or not set(escaped) & set("\n\x00\x7f\u2028")


def test_nothing_climbs():
    assert join(("..", ".", "...", "a..b")) == "%2E%2E/%2E/.../a..b"
    assert unescape("%2E%2E") == ".."


def test_long_locations_are_cut_and_stay_apart():
    a, b = (location_of("s", "x" * 3000 + tail) for tail in "ab")
    assert len(a) == len(b) == 1024
    assert a != b


def test_equal_locations_are_numbered_around_those_that_exist():
    def entry(location):
        return SourceEntry(
            location=location, source="s", path="", member="", offset=0, length=0, version="", problem=""
        )

    found = with_unique_locations([entry(name) for name in ("a", "a#2", "a", "a", "b")])
    assert [e.location for e in found] == ["a", "a#2", "a#3", "a#4", "b"]
