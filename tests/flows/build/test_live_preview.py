"""The page that grows while a build runs: its samples, its end, and that nothing depends on it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.build import live_preview
from flows.build.live_preview import LivePreview
from flows.build.progress import Progress
from tasks.gallery import preview as page
from tasks.gallery.preview import PAGE, Preview
from tasks.stages.config import load_config
from tasks.storage.objects.store import Store, open_store
from tasks.storage.protocol.layout import RUNS


class Notes(Progress):
    """Collects what is told."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def dataset(built, tmp_path: Path) -> SimpleNamespace:
    """A copy of the drawn dataset, with its plans."""
    store, plans = built
    copied = shutil.copytree(store.folder, tmp_path / "dataset")
    return SimpleNamespace(store=open_store(str(copied)), plans=plans)


def commits_of_editing(dataset) -> list[str]:
    (plan,) = (plan for plan in dataset.plans if plan.key.stage == "editing")
    return [plan.key.commit_path(unit.id) for unit in plan.units]


def test_accepted_samples_are_shown_with_their_pictures_and_words(dataset) -> None:
    preview = Preview(dataset.store, "drawn")
    paths = commits_of_editing(dataset)
    found = sum(preview.add(path) for path in paths)
    assert found == len(preview.samples) > 1
    assert sum(preview.add(path) for path in paths) == 0  # each commit once
    preview.write()
    text = dataset.store.get(PAGE).decode()
    assert f"<b>{found}</b> accepted samples" in text
    assert 'http-equiv="refresh" content="5"' in text
    for sample in preview.samples:
        assert text.count(f'src="{sample.id}-') == 3
        for name in page.PICTURES:
            assert dataset.store.get(f"{RUNS}/preview/{sample.id}-{name}.jpg")[:2] == b"\xff\xd8"


def test_words_of_models_are_no_markup(dataset) -> None:
    preview = Preview(dataset.store, "<i>drawn</i>")
    preview.samples.append(page.Seen(id="x-t0-p0", edit_type="Color", label="<b>", instruction="<script>"))
    preview.write()
    text = dataset.store.get(PAGE).decode()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_no_more_than_a_page_holds_is_read(dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST", 1)
    preview = Preview(dataset.store, "drawn")
    assert sum(preview.add(path) for path in commits_of_editing(dataset)) == 1
    assert preview.full
    preview.write()
    assert "no more are shown here" in dataset.store.get(PAGE).decode()


def watched(dataset, monkeypatch: pytest.MonkeyPatch, release: str = "") -> Notes:
    monkeypatch.setattr(live_preview, "EVERY_S", 0.01)
    notes = Notes()
    live = LivePreview(dataset.store, "drawn", notes, time.monotonic())
    for path in commits_of_editing(dataset):
        notes.committed("editing", [path])
        notes.committed("grounding", ["stages/grounding-01234567/commits/aa/aa.json"])
    deadline = time.monotonic() + 60
    while not notes.notes and time.monotonic() < deadline:
        time.sleep(0.01)
    if release:
        live.finish(release)
    live.close()
    return notes


def test_its_path_is_told_once_with_the_first_sample(dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = watched(dataset, monkeypatch)
    (line,) = notes.notes
    assert line.startswith("first samples after ")
    assert line.endswith(dataset.store.url(PAGE))
    text = dataset.store.get(PAGE).decode()
    assert "The build has stopped" in text
    assert "refresh" not in text


def test_a_finished_build_leaves_a_page_that_leads_to_the_gallery(
    dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(dataset, monkeypatch, release="releases/drawn-01234567")
    assert "url=../../releases/drawn-01234567/gallery/index.html" in dataset.store.get(PAGE).decode()
    assert not [o.path for o in dataset.store.list(f"{RUNS}/preview") if o.path.endswith(".jpg")]


def test_a_fault_in_the_page_does_not_end_the_build(
    dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live_preview, "EVERY_S", 0.01)
    notes = Notes()
    live = LivePreview(dataset.store, "drawn", notes, time.monotonic())
    (dataset.store.folder / RUNS).mkdir(exist_ok=True)
    (dataset.store.folder / RUNS / "preview").write_text("in the way")
    notes.committed("editing", commits_of_editing(dataset))
    live._thread.join(timeout=60)
    live.close()
    assert "could not be written" in caplog.text


def test_a_dataset_elsewhere_has_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(str(tmp_path))
    monkeypatch.setattr(Store, "folder", None)  # as of an object store
    live = LivePreview(store, "drawn", Notes(), time.monotonic())
    live.close()
    assert not live._thread.is_alive()


def test_a_build_that_wants_no_page_gets_none(dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_preview, "EVERY_S", 0.01)
    config = load_config("embedded", ["execution.preview=false"])
    notes = Notes()
    with live_preview.open_preview(SimpleNamespace(store=dataset.store, config=config), notes) as live:
        notes.committed("editing", commits_of_editing(dataset))
        assert not live._thread.is_alive()
    assert dataset.store.find(PAGE) is None
    assert not notes.notes
