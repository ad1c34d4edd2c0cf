"""Reads prompt files and word lists as package resources, each with the SHA-256 of its bytes.

A prompt is ``<name>.md``: YAML front matter between two ``---`` lines, then the text sent to a model. Sentences sent
only with some questions, or with values filled in (``$name``), are in the front matter under ``sentences``.
Sentence patterns are prompts whose front matter holds ``patterns``. A word list is ``<name>.yaml``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template
from types import MappingProxyType
from typing import Any

import yaml

from tasks.records.errors import ConfigurationError

FENCE = "---\n"
"""Opens and closes the front matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One prompt file.

    Attributes:
        name: file name without ``.md``.
        role: the role that reads it (``patterns`` for the embedded writers' sentences).
        version: increased by hand when the meaning changes; the digest changes with every byte.
        sentences: by name: sentences sent with some questions only, or with values filled in.
        text: the text sent to the model, without the front matter.
        sha256: hex digest of the file's bytes.
    """

    name: str
    role: str
    version: int
    sentences: Mapping[str, str]
    text: str
    sha256: str

    def sentence(self, name: str, /, **values: object) -> str:
        """The named sentence with its ``$values`` filled in.

        Raises:
            KeyError: there is no such sentence, or a value it needs is missing.
        """
        filled = {key: str(value) for key, value in values.items()}
        return Template(self.sentences[name]).substitute(filled).strip()


@cache
def load_prompt(name: str) -> Prompt:
    """Loads the prompt with that name.

    Raises:
        ConfigurationError: there is no such file, or its front matter is not as described above.
    """
    data = _read(f"{name}.md")
    head, text = _front_matter(name, data)
    for key in ("role", "version"):
        if key not in head:
            msg = f"prompts/{name}.md: front matter lacks {key!r}"
            raise ConfigurationError(msg)
    sentences = head.get("sentences") or {}
    return Prompt(
        name=name,
        role=str(head["role"]),
        version=int(head["version"]),
        sentences=MappingProxyType({str(key): str(value) for key, value in sentences.items()}),
        text=text,
        sha256=hashlib.sha256(data).hexdigest(),
    )


@cache
def load_data(name: str) -> dict[str, Any]:
    """The mapping in ``<name>.yaml``, or under ``patterns`` in the front matter of ``<name>.md``; do not modify it.

    Raises:
        ConfigurationError: there is no such file, or it does not hold a mapping.
    """
    if (files("prompts") / f"{name}.yaml").is_file():
        found = yaml.safe_load(_read(f"{name}.yaml"))
    else:
        found = _front_matter(name, _read(f"{name}.md"))[0].get("patterns")
    if not isinstance(found, dict):
        msg = f"prompts/{name}: not a mapping"
        raise ConfigurationError(msg)
    return found


def prompt_digests(names: Sequence[str] | None = None) -> tuple[tuple[str, str], ...]:
    """(name, SHA-256 hex of the file's bytes) of prompts and word lists: in the requested order, or all by name."""
    if names is None:
        found = (p.name.rpartition(".") for p in files("prompts").iterdir())
        names = sorted(stem for stem, _, ending in found if ending in {"md", "yaml"})
    return tuple((name, hashlib.sha256(_read(_file_name(name))).hexdigest()) for name in names)


def _file_name(name: str) -> str:
    return f"{name}.yaml" if (files("prompts") / f"{name}.yaml").is_file() else f"{name}.md"


def _read(file_name: str) -> bytes:
    resource = files("prompts") / file_name
    if not resource.is_file():
        msg = f"prompts/{file_name}: no such prompt file"
        raise ConfigurationError(msg)
    return resource.read_bytes()


def _front_matter(name: str, data: bytes) -> tuple[dict[str, Any], str]:
    text = data.decode("utf-8")
    head, fence, body = text.removeprefix(FENCE).partition(f"\n{FENCE}")
    parsed = yaml.safe_load(head) if text.startswith(FENCE) and fence else None
    if not isinstance(parsed, dict):
        msg = f"prompts/{name}.md: expected YAML front matter between two '---' lines"
        raise ConfigurationError(msg)
    return parsed, body.strip() + "\n"
