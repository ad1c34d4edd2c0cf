"""Editors behind ``/v1/images/edits``, from the form that is sent to the row: one scripted server per dialect."""

from __future__ import annotations

import asyncio
import json
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.imaging.geometry import from_rle
from tasks.imaging.pixels import decode_rgb
from tasks.records.errors import ConfigurationError, ModelUnavailable, Reason, SampleError
from tasks.records.records import EditType
from tasks.records.settings_base import RoleSettings
from tasks.roles.answer_keys import answer_key
from tasks.roles.answers import KeptAnswers
from tasks.roles.backends import BackendChoice, choose
from tasks.roles.calls import RoleCall, Route
from tasks.roles.offers import offer_of
from tasks.roles.placement import ServerSettings
from tasks.roles.router import Router
from tasks.roles.servers import Server
from tasks.storage.objects.store import open_store
from tests.serving.image_server import Asked, ImageServer, Reply, Script, painted
from tests.tasks.backends.contract.served_makers import MODEL, asker
from tests.tasks.roles.role_questions import block, edit_question, inpaint_questions
from tests.tasks.stages.answering import GivenAsk
from tests.tasks.stages.editing.drawn_scene import PAINTS, draw_ground, make_plan, shaded
from tests.tasks.stages.editing.planted_stage import RED, only_child, replace_gates, run

DIALECTS = ("vllm-omni", "sglang", "openai")
BLUE = (20, 60, 200)


def _choice(dialect: str = "vllm-omni", role: str = "editor", **options: Any) -> BackendChoice:
    settings = RoleSettings(backend="image-edits", run="test", options={"dialect": dialect, **options})
    return choose(role, settings, role, MODEL)


def _ask(
    script: Script, dialect: str = "vllm-omni", *, question: Any = None, **options: Any
) -> tuple[Any, list[Asked]]:
    """The answer, or the error, and what came to the server."""
    servers: list[ImageServer] = []

    def make_server(script: Script, model: str) -> ImageServer:
        servers.append(ImageServer(script, dialect=dialect, model=model))
        return servers[-1]

    question = edit_question() if question is None else question
    role = "inpainter" if hasattr(question, "hole") else "editor"
    (answer,) = asker(_choice(dialect, role, **options), script, make_server=make_server)([question])
    return answer, servers[0].asked


def _middle_is(answer: Any, color: tuple[int, int, int]) -> bool:
    assert isinstance(answer, np.ndarray), answer
    height, width = answer.shape[:2]
    inner = answer[height // 3 : -(height // 3), width // 3 : -(width // 3)].astype(int)
    return bool(np.abs(inner - np.array(color)).max() <= 3)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_gets_its_own_form(dialect: str) -> None:
    question = edit_question()
    answer, (asked,) = _ask(lambda asked: Reply(picture=painted(asked)), dialect)
    assert _middle_is(answer, BLUE)
    assert answer.shape == question.picture.rgb.shape
    assert asked.fields["prompt"].startswith(
        "Make the cup blue. Keep the rest of the picture exactly as it is"
    )
    assert (asked.fields["n"], asked.fields["model"]) == ("1", "test-model")
    height, width = asked.image.shape[:2]
    assert asked.fields["size"] == f"{width}x{height}"
    shown = asked.mask[..., 3] == 0 if dialect == "openai" else asked.mask > 127
    assert shown.shape == (height, width)
    if dialect == "openai":
        assert asked.fields.keys() == {"model", "prompt", "n", "size"}
        assert (width, height) == (1536, 1024)
    else:
        assert (width, height) == (688, 512)
        assert asked.fields["seed"] == "1"
        assert asked.fields["response_format"] == "b64_json"
        assert (asked.fields["num_inference_steps"], asked.fields["true_cfg_scale"]) == ("40", "4.0")
        ys, xs = np.nonzero(shown)
        scale = 512 / 90
        assert abs(ys.min() - 25 * scale) < 8
        assert abs(xs.max() - 80 * 688 / 120) < 8


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("way", ["b64_json", "url", "path", "data"])
def test_a_picture_comes_in_the_reply_or_from_an_address_of_the_same_server(dialect: str, way: str) -> None:
    answer, _ = _ask(lambda asked: Reply(picture=painted(asked), way=way), dialect)
    assert _middle_is(answer, BLUE)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_a_result_of_another_size_is_brought_to_the_crops(dialect: str, scale: float) -> None:
    def scaled(asked: Asked) -> Reply:
        picture = painted(asked)
        rows, columns = (round(side * scale) for side in picture.shape[:2])
        rows_at = np.arange(rows) * picture.shape[0] // rows
        columns_at = np.arange(columns) * picture.shape[1] // columns
        return Reply(picture=picture[rows_at][:, columns_at])

    question = edit_question()
    answer, _ = _ask(scaled, dialect)
    assert answer.shape == question.picture.rgb.shape
    assert _middle_is(answer, BLUE)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("reply", "reason", "detail", "times"),
    [
        (Reply(status=400, error={"code": "moderation_blocked"}), Reason.REFUSED_BY_MODEL, "status 400", 1),
        (Reply(status=400, error={"message": "size too large"}), Reason.ENDPOINT_REFUSED, "status 400", 1),
        (Reply(status=413, error={"message": "too large"}), Reason.ENDPOINT_REFUSED, "status 413", 1),
        (Reply(error={"code": 422, "message": "no"}), Reason.ENDPOINT_REFUSED, "status 422", 1),
        (Reply(data=[]), Reason.BAD_REPLY, "no_picture", 2),
        (Reply(data=[{"b64_json": None}]), Reason.BAD_REPLY, "no_picture", 2),
        (Reply(data=[{"b64_json": "?*"}]), Reason.BAD_REPLY, "no_picture", 2),
        (Reply(raw=b"\x89PNG but no more"), Reason.BAD_REPLY, "not_a_picture: the bytes do not decode", 2),
        (Reply(url="http://169.254.169.254/latest/meta-data"), Reason.BAD_REPLY, "foreign_url", 2),
        (Reply(url="file:///etc/passwd"), Reason.BAD_REPLY, "foreign_url", 2),
        (Reply(url="//127.0.0.1:9/x.png"), Reason.BAD_REPLY, "foreign_url", 2),
        (Reply(url="/files/elsewhere.png"), Reason.BAD_REPLY, "no_such_url", 2),
        (Reply(url="/files/never.png"), Reason.BAD_REPLY, "no_such_url", 2),
        (Reply(picture=np.zeros((64, 512, 3), np.uint8)), Reason.BAD_REPLY, "other_shape: 512 x 64", 2),
    ],
)
def test_a_refusal_an_error_and_a_reply_without_picture_are_failures_with_their_codes(
    dialect: str, reply: Reply, reason: Reason, detail: str, times: int
) -> None:
    error, asked = _ask(lambda _: reply, dialect)
    assert isinstance(error, SampleError), error
    assert error.reason is reason
    assert error.detail.startswith(detail)
    assert len(asked) == times, "a reply that cannot be read is asked for once more, a refusal is not"
    if times == 2 and dialect != "openai":
        assert asked[0].fields["seed"] != asked[1].fields["seed"]


@pytest.mark.parametrize(
    "fault", [Reply(status=503), Reply(status=429), Reply(error={"code": 500, "message": "the engine died"})]
)
def test_a_server_in_trouble_is_waited_for(fault: Reply) -> None:
    answer, asked = _ask(lambda asked: Reply(picture=painted(asked)) if asked.number else fault)
    assert _middle_is(answer, BLUE)
    assert len(asked) == 2


def test_a_server_that_answers_as_another_model_is_not_the_one_configured() -> None:
    answer, _ = _ask(lambda asked: Reply(picture=painted(asked), model="test-model"))
    assert _middle_is(answer, BLUE)
    with pytest.raises(ModelUnavailable, match="answers as model 'other', configured is 'test-model'"):
        _ask(lambda asked: Reply(picture=painted(asked), model="other"))


def test_an_edit_is_kept_as_it_is_used_and_never_asked_for_twice(tmp_path: Path) -> None:
    choice, question = _choice(), edit_question()
    key = answer_key(choice, MODEL, question)
    route = Route(name="editor", role="editor", choice=choice, run="pictures", served=MODEL)

    async def ask(url: str) -> Any:
        settings = ServerSettings(model=MODEL, urls=(url,))
        with KeptAnswers(open_store(str(tmp_path / "out"))) as keeper:
            router = Router([route], pools={}, servers={"pictures": settings}, keeper=keeper)
            backend: Any = choice.load()
            sid = "ab" + "c" * 24
            call = RoleCall(
                route="editor", key=key, sid=sid, subject=f"{sid}-t0-p0", payload=backend.request(question)
            )
            try:
                return (await router.ask(call)).answer
            finally:
                await router.close()

    with ImageServer(lambda asked: Reply(picture=painted(asked))) as server:
        first, again = (asyncio.run(ask(server.url)) for _ in range(2))
        assert len(server.asked) == 1
    assert np.array_equal(first, again)
    (stored,) = tmp_path.rglob("*.tar")
    with tarfile.open(stored) as tar:
        blobs = {Path(name).name: tar.extractfile(name).read() for name in tar.getnames()}
    assert np.array_equal(decode_rgb(blobs["answer.png"]), first)
    assert json.loads(blobs["reply.txt"])["picture"]["bytes"] > 0, "told of, but not stored twice"


def test_an_editor_that_ignores_the_mask_changes_nothing_outside_the_allowed_region() -> None:
    ground = draw_ground()
    shaded(ground, RED, PAINTS["red"])
    ask_server = asker(_choice(), lambda asked: Reply(picture=painted(asked)), make_server=ImageServer)
    settings = replace_gates(max_leak=100.0).model_copy(update={"min_accuracy": 1.0, "min_seamlessness": 1.0})
    plan = make_plan(RED, EditType.COLOR, "blue")
    with ThreadPoolExecutor(1) as thread:  # the stage has an event loop of its own
        editor = GivenAsk("editor", lambda question: thread.submit(ask_server, [question]).result()[0])
        child = only_child(run(ground, plan, editor=editor, settings=settings))
    patch, edited = (
        decode_rgb({b.name: b.data for b in child.blobs}[name]) for name in ("patch.png", "edited.png")
    )
    allowed, crop = from_rle(child.record.allowed), child.record.crop
    here = ground[crop.y0 : crop.y1, crop.x0 : crop.x1]
    outside = ~allowed[crop.y0 : crop.y1, crop.x0 : crop.x1]
    assert (np.abs(patch.astype(int) - here.astype(int)).max(axis=2)[outside] > 50).sum() > 500
    assert np.array_equal(edited[~allowed], ground[~allowed])


def test_one_client_checks_chat_servers_and_image_servers_alike() -> None:
    async def check(url: str, model: str) -> str:
        settings = ServerSettings.model_validate({"model": {"id": model}, "urls": [url]})
        server = Server("pictures", settings)
        try:
            return (await server.check())[0].root
        finally:
            await server.close()

    with ImageServer(lambda asked: Reply(picture=asked.image)) as server:
        assert asyncio.run(check(server.url, "test-model")) == "test-model"
        with pytest.raises(ConfigurationError, match=r"servers\.pictures\.model\.id: 'other' is not served"):
            asyncio.run(check(server.url, "other"))


def test_a_crop_with_similar_things_says_which_one_is_meant() -> None:
    question = replace(edit_question(mask=block(80, 25, 120, 65)), similar=1)
    _, (asked,) = _ask(lambda asked: Reply(picture=painted(asked)), question=question)
    assert (
        "More than one cup can be seen here; the one that is meant is on the right." in asked.fields["prompt"]
    )


@pytest.mark.parametrize(
    ("edit_type", "share"), [(EditType.COLOR, 0.19), (EditType.REPLACE, 0.19), (EditType.ADD, 1.0)]
)
def test_the_mask_shows_what_an_edit_of_the_type_may_change(edit_type: EditType, share: float) -> None:
    _, (asked,) = _ask(lambda asked: Reply(picture=painted(asked)), question=edit_question(edit_type))
    assert (asked.mask > 127).mean() == pytest.approx(share, abs=0.02)


def test_a_removal_is_asked_for_in_words_with_its_effects() -> None:
    question = replace(inpaint_questions()[0], label="cup")
    answer, (asked,) = _ask(lambda asked: Reply(picture=painted(asked)), question=question)
    assert asked.fields["prompt"].startswith(
        "Take the cup in the middle out of the picture, together with its shadow and its reflection"
    )
    assert answer.shape == question.picture.rgb.shape
    assert offer_of(_choice(role="inpainter")).effects
    assert not offer_of(_choice()).effects
    assert offer_of(_choice(effects=True)).effects


def test_options_that_the_dialect_has_no_fields_for_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="steps: dialect openai has no such fields"):
        _choice("openai", steps=20)


def test_the_key_moves_with_what_is_sent_and_with_nothing_else() -> None:
    question, choice = edit_question(), _choice()
    key = answer_key(choice, MODEL, question)
    assert answer_key(_choice(effects=True), MODEL, question) == key, "effects matter after the answer"
    assert answer_key(choice, MODEL, replace(question, subject="another", label="mug")) == key
    for options in (
        {"steps": 20},
        {"true_cfg_scale": 2.5},
        {"negative_prompt": "blur"},
        {"max_side_px": 640},
    ):
        assert answer_key(_choice(**options), MODEL, question) != key, options
    for changes in ({"instruction": "Paint it."}, {"similar": 1}, {"seed": 2}, {"attempt": 1}):
        assert answer_key(choice, MODEL, replace(question, **changes)) != key, changes
    assert answer_key(choice, MODEL, edit_question(mask=block(0, 0, 9, 9))) != key
    assert answer_key(choice, MODEL, edit_question(mask=np.zeros((90, 120), bool))) != key
    assert answer_key(_choice("sglang"), MODEL, question) != key
