"""What a change costs: the questions asked again after each kind of change, counted per role."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.build.request import BuildRequest, resolve
from prompts import loading
from tasks.records.errors import Reason
from tasks.roles.questions import ROLES
from tasks.stages.registry import stage_digests
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.answer_files import Kind, answer_from
from tests.flows.drawn.builds import Count, command, profile, release_files, run, stored_answers, written
from tests.flows.drawn.photographs import lay_out
from tests.flows.drawn.script import MARKER, DrawnScript, instruction_of, is_half, target_of
from tests.flows.processes import wait_until
from tests.serving.chat_server import ChatServer
from tests.serving.scripts import Answer, Asked

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("drawn_models")]

COUNT = 4
GOOD_EDIT, VERY_GOOD_EDIT = "editing.min_accuracy=4.0", "editing.min_accuracy=4.4"


class World:
    """A server, photographs, and a dataset that was built from them."""

    def __init__(self, folder: Path, server: ChatServer, script: DrawnScript) -> None:
        self.server, self.script = server, script
        self.photographs = folder / "photographs"
        self.out = folder / "out"
        self.profile = written(folder, profile(server.url))

    def build(
        self, *assignments: str, limit: int | None = None, retry_failed: bool = False
    ) -> tuple[Count, str]:
        """Runs the build; returns the questions asked and the release's name."""
        count = Count(self.server)
        release = run(
            self.profile, self.photographs, self.out, *assignments, limit=limit, retry_failed=retry_failed
        )
        return count.stop(), release.folder.rpartition("/")[2]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, drawn_models: None) -> tuple[Path, Count]:
    """A built dataset, and the count of its questions."""
    folder = tmp_path_factory.mktemp("first")
    lay_out(folder / "photographs", COUNT)
    script = DrawnScript()
    with ChatServer(script) as server:
        world = World(folder, server, script)
        return folder, world.build()[0]


@pytest.fixture
def world(first: tuple[Path, Count], tmp_path: Path) -> Iterator[World]:
    """A copy of the built dataset."""
    shutil.copytree(first[0], tmp_path / "copy")
    script = DrawnScript()
    with ChatServer(script) as server:
        yield World(tmp_path / "copy", server, script)


@pytest.fixture
def reword(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Adds a sentence to prompt files, as this process reads them."""
    names: set[str] = set()
    read = loading._read
    marks = {".md": f"\n{MARKER}\n", ".yaml": f"\n# {MARKER}\n"}

    def changed(file_name: str) -> bytes:
        path = Path(file_name)
        return read(file_name) + (marks[path.suffix].encode() if path.stem in names else b"")

    def reread(*more: str) -> None:
        names.update(more)
        loading.load_prompt.cache_clear()
        loading.load_data.cache_clear()

    monkeypatch.setattr(loading, "_read", changed)
    yield reread
    names.clear()
    reread()


def digests(world: World) -> dict[str, str]:
    """``config8`` of each stage."""
    return stage_digests(resolve(BuildRequest(profile=world.profile))[0])


def instructions(count: Count, role: str) -> list[str]:
    """Of the requests of a role."""
    return [instruction_of(asked) for asked in count.of(role)]


def removals(texts: list[str]) -> list[str]:
    """Those served by the inpainter; the scripted writer marks them by their first words."""
    return [
        text
        for text in texts
        if any(word in text.lower() for word in ("remove", "erase", "out of the scene"))
    ]


def test_the_first_build_asks_every_role(first: tuple[Path, Count]) -> None:
    assert set(first[1].roles) == set(ROLES)


def test_the_same_command_asks_no_model(world: World) -> None:
    assert world.build()[0].roles == {}


def test_a_threshold_of_the_edit_check_asks_no_model(world: World, first: tuple[Path, Count]) -> None:
    count, name = world.build(VERY_GOOD_EDIT)
    assert count.roles == {}
    assert name != world.build()[1]
    assert any(map(is_half, instructions(first[1], "edit_judge")))


def test_with_two_tries_a_threshold_asks_for_the_second_try_of_what_it_refuses(
    world: World, first: tuple[Path, Count]
) -> None:
    assert world.build("editing.tries=2")[0].roles == {}
    count, _ = world.build("editing.tries=2", VERY_GOOD_EDIT)
    refused = [text for text in instructions(first[1], "edit_judge") if is_half(text)]
    assert sorted(instructions(count, "edit_judge")) == sorted(refused)
    assert set(count.roles) <= {"editor", "inpainter", "detector", "segmenter", "edit_judge"}
    assert count.roles.get("editor", 0) == len(refused) - len(removals(refused))


def test_the_edit_judges_prompt_asks_the_edit_judge_alone(
    world: World, first: tuple[Path, Count], reword: Callable[..., None]
) -> None:
    reword("edit_judge")
    assert world.build()[0].roles == {"edit_judge": first[1].roles["edit_judge"]}


def check_other_words(count: Count, first: Count) -> None:
    """Half of the instructions were rewritten with other words; only their samples changed."""
    before = instructions(first, "rewriter")
    changed = [text for text in before if is_half(text)]
    assert 0 < len(changed) < len(before), "the trial needs both kinds"
    edited = len(changed) - len(removals(changed))
    assert edited > 0
    assert count.roles == {
        "rewriter": len(before),
        "referrer": len(changed),
        "text_judge": len(changed),
        "editor": edited,
        "edit_judge": len(changed),
    }


def test_the_rewriters_prompt_asks_it_and_later_roles_where_the_words_changed(
    world: World, first: tuple[Path, Count], reword: Callable[..., None]
) -> None:
    reword("rewriter")
    check_other_words(world.build()[0], first[1])


def test_another_rewriter_is_asked_and_later_roles_where_the_words_changed(
    world: World, first: tuple[Path, Count]
) -> None:
    with ChatServer(world.script, model="other-model") as other:
        model = f"{{model: {{id: other-model}}, urls: [{other.url!r}]}}"
        count = Count(world.server, other)
        world.build(f"servers.other={model}", "instruction.rewriter.run=other")
    check_other_words(count.stop(), first[1])


def test_the_easy_target_judges_prompt_asks_it_and_later_roles_for_new_targets(
    world: World, first: tuple[Path, Count], reword: Callable[..., None]
) -> None:
    def kept(count: Count, marker: bool) -> set[tuple[int, int]]:
        judged = map(target_of, count.of("target_judge"))
        return {target for target in judged if (sum(target) + marker) % 3}

    reword("target_judge")
    count, _ = world.build()
    new = kept(count, marker=True) - kept(first[1], marker=False)
    assert new
    assert kept(first[1], marker=False) - kept(count, marker=True), "some targets are gone"
    assert count.roles["target_judge"] == first[1].roles["target_judge"]
    assert sorted(map(target_of, count.of("instructor"))) == sorted(new)
    later = ("instructor", "rewriter", "referrer", "text_judge", "edit_judge")
    assert {role: count.roles[role] for role in later} == dict.fromkeys(later, len(new))
    assert {"tagger", "instructor"} & set(count.roles) == {"instructor"}


def test_a_threshold_on_the_target_judges_probability_asks_later_roles_for_new_targets_alone(
    world: World, first: tuple[Path, Count]
) -> None:
    # Kept targets have 0.92, easy ones 0.1.
    count, name = world.build("grounding.min_keep_probability=0.9")
    assert count.roles == {}
    assert name != world.build()[1]
    easy = [target for target in map(target_of, first[1].of("target_judge")) if sum(target) % 3 == 0]
    count, _ = world.build("grounding.min_keep_probability=0.05")
    assert sorted(map(target_of, count.of("instructor"))) == sorted(easy)
    assert "target_judge" not in count.roles


def test_a_second_judge_is_asked_about_every_edit_and_its_threshold_asks_nobody(
    world: World, first: tuple[Path, Count]
) -> None:
    with ChatServer(world.script, model="other-model") as other:
        second = (
            f"servers.other={{model: {{id: other-model, max_pixels: 400000}}, urls: [{other.url!r}]}}",
            "editing.second_judge={backend: yes-no, run: other}",
        )
        count = Count(world.server, other)
        world.build(*second)
        assert count.stop().roles == {"edit_judge": first[1].roles["edit_judge"]}
        for changed in (
            "editing.min_second_accuracy=4.9",
            "editing.min_second_seamlessness=1",
            VERY_GOOD_EDIT,
        ):
            count = Count(world.server, other)
            world.build(*second, changed)
            assert count.stop().roles == {}


def test_another_editor_with_the_same_offer_asks_for_edits_and_no_instruction(
    world: World, first: tuple[Path, Count]
) -> None:
    count, _ = world.build("editing.editor.options.model=another")
    edits = first[1].roles["editor"]
    assert count.roles == {"editor": edits, "edit_judge": edits}


def test_a_prompt_that_no_configured_backend_reads_moves_no_digest(
    world: World, reword: Callable[..., None]
) -> None:
    before, name = digests(world), world.build()[1]
    reword("patterns_instructor", "patterns_rewriter", "nouns", "words")
    assert digests(world) == before
    count, again = world.build()
    assert (count.roles, again) == ({}, name)


@pytest.mark.parametrize(
    "prompt",
    [
        "target_judge", "instructor", "rewriter", "referrer", "text_judge", "edit_judge", "again", "apologies",
        "refusals", "edit_types", "gate_nouns", "gate_vocabulary",
    ],
)  # fmt: skip
def test_a_text_that_can_change_an_outcome_moves_a_digest(
    world: World, reword: Callable[..., None], prompt: str
) -> None:
    before = digests(world)
    reword(prompt)
    assert digests(world) != before


def test_where_a_model_is_and_how_it_is_run_asks_no_model(world: World) -> None:
    name = world.build()[1]
    with ChatServer(world.script) as other:
        server = f"{{model: {{id: test-model, max_pixels: 400000}}, urls: [{other.url!r}]}}"
        count = Count(world.server, other)
        release = run(
            world.profile, world.photographs, world.out, f"servers.other={server}", "instruction.rewriter.run=other",
            "editing.judge.run=other", "pools.drawn.max_batch=2", "servers.words.in_flight=3",
        )  # fmt: skip
    assert (count.stop().roles, release.folder.rpartition("/")[2]) == ({}, name)


def test_a_pilots_answers_are_used_by_the_whole_build(first: tuple[Path, Count], tmp_path: Path) -> None:
    lay_out(tmp_path / "photographs", COUNT)
    script = DrawnScript()
    with ChatServer(script) as server:
        world = World(tmp_path, server, script)
        pilot = world.build(limit=COUNT // 2)[0].roles
        rest = world.build()[0].roles
    assert pilot["tagger"] == COUNT // 2
    assert {role: pilot.get(role, 0) + rest.get(role, 0) for role in rest} == first[1].roles


def test_ten_more_photographs_are_asked_about_and_no_other(world: World, first: tuple[Path, Count]) -> None:
    lay_out(world.photographs, 10, first=COUNT)
    count, _ = world.build()
    seen = ("target_judge", "instructor", "text_judge", "edit_judge")
    scenes = {target_of(asked)[0] for role in seen for asked in count.of(role)}
    assert scenes == set(range(COUNT, COUNT + 10))
    assert not [body for body in count.bodies if body in first[1].bodies]
    assert count.roles["tagger"] == 10
    sids = {subject.partition("-")[0] for _, subject in first[1].subjects}
    assert not sids & {subject.partition("-")[0] for _, subject in count.subjects}


def test_a_killed_driver_leaves_only_the_questions_in_flight_to_be_asked_again(
    first: tuple[Path, Count], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("DRAWN_LOG", str(log))
    lay_out(tmp_path / "photographs", COUNT)
    script = DrawnScript()
    # All answers of the edit judge but the first are withheld.
    script.instead["edit_judge"] = lambda asked, answer: (
        answer if asked.number < 1 else Answer(text="late", after_s=3600)
    )
    with ChatServer(script) as server:
        world = World(tmp_path, server, script)
        arguments = ["build", "--profile", world.profile, "--source", str(world.photographs)]
        driver = subprocess.Popen(
            command(*arguments, "--out", str(world.out), "--quiet"), stdout=subprocess.DEVNULL
        )
        try:
            # The answer that is given takes its time into the store, the later requests may come before.
            assert wait_until(
                lambda: (
                    server.came["edit_judge"] >= 3 and stored_answers(world.out).get("edit_judge", 0) == 1
                ),
                120,
            )
        finally:
            driver.send_signal(signal.SIGKILL)
            driver.wait()
        came = dict(server.came)
        for role in log.read_text().splitlines():
            came[role.split()[0]] = came.get(role.split()[0], 0) + 1
        kept = stored_answers(world.out)
        script.instead.clear()
        count, _ = world.build()
    total = first[1].roles
    met = {role: kept.get(role, 0) + count.roles.get(role, 0) for role in total}
    # Requests that the killed driver had sent may reach a busy server after the count began.
    assert total["edit_judge"] <= met["edit_judge"] <= total["edit_judge"] + came["edit_judge"] - 1
    assert met | {"edit_judge": 0} == total | {"edit_judge": 0}
    earlier = ("tagger", "target_judge", "instructor", "rewriter", "referrer", "text_judge")
    assert not set(earlier) & set(count.roles), "those stages were committed"
    assert all(count.roles[role] >= came[role] - kept.get(role, 0) for role in count.roles)
    assert count.roles["edit_judge"] >= total["edit_judge"] - kept["edit_judge"]
    assert release_files(world.out) == release_files(first[0] / "out")


def test_retry_failed_asks_for_the_failed_samples_alone(world: World, tmp_path: Path) -> None:
    world.out = tmp_path / "fresh"

    def unreadable(asked: Asked, answer: Answer) -> Answer:
        return Answer(text="I had rather not say.") if is_half(instruction_of(asked)) else answer

    world.script.instead["edit_judge"] = unreadable
    count, _ = world.build("execution.max_failed_share=1.0")
    failed = {text for text in instructions(count, "edit_judge") if is_half(text)}
    assert count.roles["edit_judge"] == len(instructions(count, "edit_judge"))
    world.script.instead.clear()
    assert world.build()[0].roles == {}, "a failure is not asked again without being told"
    again, _ = world.build(retry_failed=True)
    assert set(again.roles) == {"edit_judge"}
    assert sorted(instructions(again, "edit_judge")) == sorted(failed)
    assert world.build(retry_failed=True)[0].roles == {}
    store = open_store(str(world.out))
    files = [answer_from(store.get(item.path), item.path) for item in store.list("answers")]
    bad = [file.reason for file in files if file.kind is not Kind.ANSWER]
    assert bad == [Reason.BAD_REPLY.value] * len(failed)
