"""README.md of a release: a Hugging Face dataset card with the provenance of everything in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from tasks.publishing.reason_words import reason_title
from tasks.publishing.release_context import ReleaseContext
from tasks.publishing.shard_format import SPLITS, ModelShape
from tasks.records.records import EditType
from tasks.storage.reports.tallies import FUNNEL_EXPLAINED

CITATION = """\
```bibtex
@article{intercog,
  title  = {InterCoG: Towards Spatially Precise Image Editing with
            Interleaved Chain-of-Grounding Reasoning},
  author = {{The InterCoG authors}},
  note   = {the method; GroundEdit is an independent implementation of its data pipeline}
}
```"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """Facts about a release's samples for the card; small however many samples there are.

    Attributes:
        types: (edit type, split) of each sample.
        models: those that answered, each once.
        sources: (source name, license, sid) of each sample.
    """

    types: Sequence[tuple[str, str]]
    models: Sequence[ModelShape]
    sources: Sequence[tuple[str, str, str]]


def render_card(facts: CardFacts, context: ReleaseContext) -> str:
    """The Markdown text; equal facts give equal text."""
    environment = Environment(
        loader=PackageLoader("tasks.publishing", "."),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown; table cells are escaped by their own filter
    )
    environment.filters |= {"cell": _cell, "reason": reason_title}
    present = [split for split in SPLITS if any(s == split for _, s in facts.types)]
    text: str = environment.get_template("card.md.j2").render(
        context=context,
        front_matter=_front_matter(context.name, present, len(facts.types)),
        total=len(facts.types),
        photographs=len({sid for _, _, sid in facts.sources}),
        splits=present,
        types=_type_rows(facts, present),
        models=sorted(facts.models, key=lambda m: (m.role, m.backend, m.model)),
        sources=_source_rows(facts),
        citation=CITATION,
        funnel_explained=FUNNEL_EXPLAINED,
    )
    return text


def _front_matter(name: str, splits: Sequence[str], total: int) -> str:
    fields = {
        "pretty_name": name,
        "license": "other",
        "license_name": "per-sample",
        "task_categories": ["image-to-image"],
        "language": ["en"],
        "tags": ["image-editing", "grounding", "reasoning", "webdataset"],
        "size_categories": [_size_category(total)],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"{split}-*.tar"} for split in splits],
            }
        ],
    }
    return str(yaml.safe_dump(fields, sort_keys=False, allow_unicode=True))


def _size_category(total: int) -> str:
    for limit, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")):
        if total < limit:
            return name
    return "100K<n<1M"


def _type_rows(facts: CardFacts, splits: Sequence[str]) -> list[tuple[str, list[int]]]:
    counts = Counter(facts.types)
    rows = []
    for kind in EditType:
        numbers = [counts[kind.value, split] for split in splits]
        if sum(numbers):
            rows.append((kind.value, [*numbers, sum(numbers)]))
    totals = [sum(row[1][i] for row in rows) for i in range(len(splits) + 1)]
    return [*rows, ("all", totals)]


def _source_rows(facts: CardFacts) -> list[dict[str, object]]:
    samples = Counter((name, license) for name, license, _ in facts.sources)
    photographs = Counter((name, license) for name, license, _ in set(facts.sources))
    return [
        {"name": name, "license": license, "samples": samples[name, license], "photographs": n}
        for (name, license), n in sorted(photographs.items())
    ]


def _cell(text: str) -> str:
    """Text for a table cell, escaped so that it cannot end the cell, the row or the Markdown."""
    flat = " ".join(text.split())
    for sign in "\\`*_[]<>|":
        flat = flat.replace(sign, "&lt;" if sign == "<" else "&gt;" if sign == ">" else f"\\{sign}")
    return flat
