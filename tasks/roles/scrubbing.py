"""Error texts of servers, cut and without addresses and keys, so that they may be kept."""

from __future__ import annotations

import re

LENGTH = 300
"""Characters that are kept of an error text."""

_SECRETS = (
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>]+", re.IGNORECASE), "<url>"),
    (re.compile(r"\b(bearer|basic)\s+[^\s\"',;]+", re.IGNORECASE), r"\1 <key>"),
    (
        re.compile(
            r"([\"']?\b[\w-]*(?:api[-_ ]?key|token|secret|password|authorization)[\"']?\s*[:=]\s*)"
            r"(?:\"[^\"]*\"|'[^']*'|[^\s,;}]+)",
            re.IGNORECASE,
        ),
        r"\1<key>",
    ),
    (re.compile(r"\b(?:sk|pk|hf|key|ghp|AKIA)[-_]?[A-Za-z0-9_-]{12,}"), "<key>"),
    (re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"), "<address>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<host>"),
    (
        re.compile(r"\[?(?<![\w:])(?=[0-9a-f:]*:[0-9a-f:]*:)[0-9a-f:]{3,}\]?(?::\d+)?", re.IGNORECASE),
        "<host>",
    ),
    # Two dots or a port make a host; a single dot ("model.safetensors") does not.
    (re.compile(r"\b(?:[a-z0-9-]+\.){2,}[a-z]{2,}(?::\d+)?\b", re.IGNORECASE), "<host>"),
    (re.compile(r"\b[a-z0-9][a-z0-9.-]*:\d{2,5}\b", re.IGNORECASE), "<host>"),
    (re.compile(r"\bhost(?:name)?[ =:]+[\"']?[\w.-]+[\"']?", re.IGNORECASE), "host=<host>"),
    (re.compile(r"\b[A-Za-z0-9_+/=-]{32,}"), "<key>"),
)
"""Patterns and what stands in their place, in the order in which they are applied."""


def scrub(text: str) -> str:
    """``text`` in one line without URLs, hosts, addresses and keys, cut to `LENGTH` characters.

    Applied to what is scrubbed already, it changes nothing.
    """
    # Far more than is kept: a secret may not survive by being cut in two.
    clean = " ".join(text[: 20 * LENGTH].split())
    for pattern, instead in _SECRETS:
        clean = pattern.sub(instead, clean)
    return clean[:LENGTH]
