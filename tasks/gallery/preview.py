"""A page of the first accepted samples of a build that runs: written beside the dataset's data, for people alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from tasks.gallery.pictures import encode, fit, fit_crop
from tasks.imaging.geometry import cropped
from tasks.records.outcomes import BlobRef
from tasks.records.records import EditedSample
from tasks.storage.objects.pixel_reader import StorePixels
from tasks.storage.objects.store import Store
from tasks.storage.protocol.commits import commit_from, read_rows
from tasks.storage.protocol.layout import RUNS
from tasks.storage.protocol.rows import CHILD

FOLDER = f"{RUNS}/preview"
PAGE = f"{FOLDER}/index.html"

MOST = 60
"""Samples on the page; a release's gallery shows more, in order."""

RELOAD_S = 5
"""How often an open page looks for news."""

PICTURES = ("grounded", "before", "after")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A sample on the page; its pictures are ``<id>-<name>.jpg`` beside it."""

    id: str
    edit_type: str
    label: str
    instruction: str


class Preview:
    """Collects accepted samples from commits of editing and writes the page. Used by one thread.

    Args:
        store: of the dataset, whose folder is local.
        name: of the release to come.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._commits: set[str] = set()
        self.samples: list[Seen] = []
        environment = Environment(
            loader=PackageLoader("tasks.gallery", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._template = environment.get_template("preview.html.j2")

    @property
    def full(self) -> bool:
        """Whether no more samples are shown."""
        return len(self.samples) >= MOST

    def add(self, path: str) -> int:
        """Adds the accepted samples of the commit at ``path``, as far as there is room; their number."""
        data = None if self.full or path in self._commits else self._store.find(path)
        self._commits.add(path)
        if data is None:
            return 0
        before = len(self.samples)
        for row in read_rows(self._store, commit_from(data, path)):
            sample = row.decoded() if row.kind == CHILD and row.outcome == "kept" else None
            if isinstance(sample, EditedSample) and not self.full:
                self._pictures(row.id, sample, row.blobs)
                plan = sample.plan
                seen = Seen(
                    id=row.id,
                    edit_type=plan.edit_type.value,
                    label=plan.target.label,
                    instruction=plan.instruction,
                )
                self.samples.append(seen)
        return len(self.samples) - before

    def write(self, *, over: str = "") -> None:
        """Writes the page; ``over`` says how the build ended, after which the page looks for no news."""
        text = self._template.render(
            name=self._name, samples=self.samples[::-1], full=self.full, over=over, reload_s=RELOAD_S
        )
        self._put("index.html", text.encode("utf-8", errors="backslashreplace"))
        self._put("style.css", (files("tasks.gallery") / "templates" / "style.css").read_bytes())

    def lead_to(self, gallery: str) -> None:
        """Makes the page lead to the first page of a release's gallery, by its path below the dataset."""
        up = "../" * PAGE.count("/")
        text = (
            f'<!doctype html>\n<meta charset="utf-8">\n<meta http-equiv="refresh" content="0; url={up}{gallery}">\n'
            f'<title>{self._name}</title>\n<p><a href="{up}{gallery}">The gallery of the release</a></p>\n'
        )
        self._put("index.html", text.encode())
        self.clear()

    def clear(self) -> None:
        """Removes the pictures, of an earlier run as well."""
        for info in list(self._store.list(FOLDER)):
            if info.path.endswith(".jpg"):
                self._store.delete(info.path)

    def _pictures(self, id_: str, sample: EditedSample, blobs: Mapping[str, BlobRef]) -> None:
        pixels = StorePixels(self._store)
        made = {
            "grounded": fit(pixels.rgb(blobs["grounded.jpg"])),
            "before": fit_crop(cropped(pixels.rgb(blobs["source.jpg"]), sample.crop)),
            "after": fit_crop(cropped(pixels.rgb(blobs["edited.png"]), sample.crop)),
        }
        for name in PICTURES:
            self._put(f"{id_}-{name}.jpg", encode(made[name]))

    def _put(self, name: str, data: bytes) -> None:
        self._store.put(f"{FOLDER}/{name}", data)
