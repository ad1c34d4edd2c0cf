"""What all served roles keep: key and request say the same, and nothing is left to a server's defaults."""

from __future__ import annotations

import json

import numpy as np
import pytest

from prompts import load_data, load_prompt
from tasks.backends.served.chat_backend import AGAIN
from tasks.records.errors import ConfigurationError, SampleError
from tasks.records.settings_base import RoleSettings
from tasks.roles.backends import BACKENDS, choose
from tasks.roles.chat import BadReply, ChatPicture, ChatReply
from tasks.roles.chat_http import chat_body
from tasks.roles.picture import Picture
from tasks.roles.replies import APOLOGIES, CODES
from tests.tasks.backends.served.asked import SERVED, questions

ROLES = [role for role, names in BACKENDS.items() if "chat" in names]
SERVED_BACKENDS = [(role, "chat") for role in ROLES] + [("edit_judge", "yes-no")]


def chosen(role, **options):
    return choose(role, RoleSettings(backend="chat", options=options, run="vlm"), f"x.{role}", SERVED)


def test_seven_roles_can_be_served():
    assert ROLES == [
        "tagger", "target_judge", "instructor", "rewriter", "referrer", "text_judge", "edit_judge",
    ]  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_the_key_names_the_texts_and_pictures_of_the_request_in_their_order(role):
    choice, question = chosen(role), questions()[role]
    sent = choice.backend.sent(choice.options, question)
    request = choice.load().request(question)
    named = [dict(part.recipe) if isinstance(part, ChatPicture) else part for part in request.parts]
    assert json.loads(json.dumps(sent["parts"])) == json.loads(json.dumps(named))
    assert sent["schema"] == request.schema
    assert tuple(sent["choices"]) == request.choices
    assert request.seed == question.seed


@pytest.mark.parametrize("role", ROLES)
def test_the_key_opens_no_picture(role):
    def closed() -> np.ndarray:
        raise AssertionError("a picture was opened")

    shut = Picture({"blob": "cd" * 32}, closed)
    names = ("picture", "marked", "boxed", "numbered", "source", "edited", "source_boxed", "edited_boxed")
    question = questions(**dict.fromkeys(names, shut))[role]
    for look in ("whole", "whole_and_crop") if role in ("target_judge", "edit_judge") else (None,):
        choice = chosen(role, look=look) if look else chosen(role)
        assert json.dumps(choice.backend.sent(choice.options, question))


@pytest.mark.parametrize("role", ROLES)
def test_every_sampling_parameter_is_stated(role):
    stated = chosen(role).load().request(questions()[role]).sampling
    assert set(stated) == {
        "temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty",
        "max_tokens", "chat_template_kwargs",
    }  # fmt: skip
    plain = chosen(role, fields="openai").load().request(questions()[role]).sampling
    assert set(plain) == {"temperature", "top_p", "presence_penalty", "frequency_penalty", "max_tokens"}


@pytest.mark.parametrize("role", ROLES)
def test_every_reply_but_free_text_is_held_by_a_schema_that_all_servers_know(role):
    request = chosen(role).load().request(questions()[role])
    body = json.loads(chat_body("m", request))
    assert not {"guided_json", "guided_choice", "structured_outputs"} & set(body)
    assert ("response_format" in body) == (role != "rewriter")
    digit = {"type": "integer", "enum": [0, 1]}
    assert (request.schema == digit) == (role in ("target_judge", "text_judge"))
    # The API of OpenAI takes a schema of an object only; a digit is asked for in words.
    plain = chosen(role, fields="openai").load().request(questions()[role])
    assert (plain.schema is None) == (role in ("target_judge", "text_judge", "rewriter"))


@pytest.mark.parametrize(("role", "name"), SERVED_BACKENDS)
@pytest.mark.parametrize("look", ["whole", "whole_and_crop"])
def test_the_number_of_pictures_is_declared_for_the_check_of_the_server(role, name, look):
    options = {"look": look} if "judge" in role and role != "text_judge" else {}
    settings = RoleSettings(backend=name, options=options, run="vlm")
    choice = choose(role, settings, role, SERVED)
    parts = choice.load().request(questions()[role]).parts
    assert choice.backend.pictures(choice.options) == sum(isinstance(part, ChatPicture) for part in parts)


def test_a_role_may_be_sent_smaller_pictures_than_its_server_takes_and_no_larger():
    smaller = chosen("instructor", max_pixels=50_000)
    (rule,) = [
        part["size"] for part in smaller.backend.sent(smaller.options, questions()["instructor"])["parts"]
        if isinstance(part, dict)
    ]  # fmt: skip
    assert rule["max_pixels"] == 50_000
    with pytest.raises(ConfigurationError, match=r"x\.instructor\.options\.max_pixels: .*at most .* 200000"):
        chosen("instructor", max_pixels=SERVED.max_pixels + 1)


@pytest.mark.parametrize("role", ROLES)
def test_pictures_are_sent_no_larger_than_the_server_takes_them(role):
    sent = chosen(role).backend.sent(chosen(role).options, questions()[role])
    rules = [part["size"]["max_pixels"] for part in sent["parts"] if isinstance(part, dict)]
    assert set(rules) <= {SERVED.max_pixels}
    assert bool(rules) == (role != "rewriter")


@pytest.mark.parametrize("role", ROLES)
def test_who_answers_is_the_servers_model(role):
    identity = chosen(role).identity
    assert (identity.role, identity.backend) == (role, "chat")
    assert (identity.model, identity.revision) == (SERVED.id, SERVED.revision)
    assert chosen(role).material()["options"]["served"]["max_pixels"] == SERVED.max_pixels


def test_a_chat_role_without_a_server_is_a_configuration_error():
    choice = choose("rewriter", RoleSettings(backend="chat"), "instruction.rewriter")
    with pytest.raises(ConfigurationError, match="rewriter: backend 'chat' needs a server"):
        _ = choice.identity


def test_the_model_cannot_be_set_beside_the_server():
    with pytest.raises(ConfigurationError, match=r"x\.rewriter\.options\.served: belongs to the server"):
        chosen("rewriter", served={"id": "another"})


@pytest.mark.parametrize("role", ROLES)
def test_each_role_names_the_prompts_that_it_reads(role):
    further = {"instructor": ["edit_types", "refusals"], "rewriter": ["refusals"]}
    assert [name for name, _ in chosen(role).prompts] == [role, AGAIN, APOLOGIES, *further.get(role, [])]


@pytest.mark.parametrize("role", ROLES)
def test_every_bad_reply_has_a_sentence_for_the_next_try(role):
    request = chosen(role).load().request(questions()[role])
    assert set(request.reasons) == set(CODES)
    told = request.repeated(BadReply("missing_key", "CoT"))
    assert "a key of the JSON object was missing (CoT)" in told
    assert "$" not in told


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("text", "finish", "code"),
    [
        ("", "stop", "empty"),
        (" \n\n  ", "stop", "empty"),
        ("<think>\n\n</think>\n", "stop", "empty"),
        ("<think>It is the left", "stop", "cut_off"),
        ("!" * 400, "stop", "degenerate"),
        ("!" * 400, "length", "degenerate"),
        ("{" + " " * 400, "length", "degenerate"),
        ('{"a": "' + "\\n" * 300, "length", "degenerate"),
        ("The cup on the table stands beside the other cup. " * 5, "length", "degenerate"),
        ("Which one is it? I wonder.", "length", "cut_off"),
        ("<thinking>It is the left", "length", "cut_off"),
        ("the left cup " * 30, "stop", "degenerate"),
        ('{"Editing_Type": "Color", "Editing_Instr', "length", "cut_off"),
        ("I'm sorry, but I can't help with that.", "stop", "apology"),
        ("I’m unable to assist with identifying people.", "stop", "apology"),
    ],
)
def test_what_no_role_can_use_is_a_bad_reply_with_its_code(role, text, finish, code):
    backend = chosen(role).load()
    request = backend.request(questions()[role])
    with pytest.raises(BadReply) as caught:
        backend.read(ChatReply(text=text, finish=finish), request)
    assert caught.value.code == code
    assert caught.value.code in CODES


@pytest.mark.parametrize("role", ROLES)
def test_what_a_content_filter_ends_is_refused_by_the_model(role):
    backend = chosen(role).load()
    with pytest.raises(SampleError) as caught:
        backend.read(ChatReply(text="", finish="content_filter"), backend.request(questions()[role]))
    assert caught.value.reason.value == "refused_by_model"


def test_no_two_prompts_begin_alike():
    openings = [load_prompt(role).text[:60] for role in ROLES]
    assert len(set(openings)) == len(ROLES)


def test_apologies_are_written_as_they_are_compared():
    for opening in load_data(APOLOGIES)["openings"]:
        assert opening == opening.lower()
        assert "’" not in opening
