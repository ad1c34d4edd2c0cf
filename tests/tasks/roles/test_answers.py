"""Stored answers are found and never asked for again; refusals are, once per build."""

from __future__ import annotations

import asyncio
import hashlib
import math
import pickle
import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from tasks.records.errors import AnswerMissing, DataFault, MissingAnswer, Reason, SampleError, StorageFault
from tasks.records.records import Measurement
from tasks.roles.answers import LISTINGS, KeptAnswers
from tasks.roles.chat import ChatReply
from tasks.roles.kept_answer import NoAnswer
from tasks.roles.questions import Referents
from tasks.storage.objects.store import Store, open_store
from tasks.storage.protocol.answer_files import Kind, answer_name

SID = "ab" + "c" * 24
ROLE = "rewriter"


def key(n: int = 0) -> str:
    return hashlib.sha256(b"%d" % n).hexdigest()


KEY = key()


def refusal(note: str = "") -> NoAnswer:
    return NoAnswer(
        kind=Kind.REFUSED,
        reason=Reason.BAD_REPLY,
        detail="not_json",
        measured=(Measurement(name="characters", value=3.0, low=10.0),),
        note=note,
    )


FAILURE = NoAnswer(kind=Kind.FAILED, reason=Reason.CRASHED)


class CountingStore(Store):
    """A local store that counts its calls."""

    def __init__(self, uri, options):
        super().__init__(uri, options)
        self.calls = {"list": 0, "find": 0, "put_if_absent": 0}
        self.lock = threading.Lock()

    def _count(self, name):
        with self.lock:
            self.calls[name] += 1

    def list(self, prefix=""):
        self._count("list")
        return super().list(prefix)

    def find(self, path):
        self._count("find")
        return super().find(path)

    def put_if_absent(self, path, data):
        self._count("put_if_absent")
        return super().put_if_absent(path, data)


@pytest.fixture
def store(tmp_path):
    return CountingStore(str(tmp_path / "out"), open_store(str(tmp_path / "out")).options)


@contextmanager
def building(store, **options):
    """A build's kept answers with blocking `find` and `put`."""
    with KeptAnswers(store, **options) as kept, asyncio.Runner() as runner:
        yield Blocking(kept, runner)


class Blocking:
    def __init__(self, kept, runner):
        self.kept, self._run = kept, runner.run

    def find(self, *, sid=SID, role=ROLE, key=KEY):
        return self._run(self.kept.find(sid, role, key, subject=f"{sid}-t0"))

    def put(self, given, *, sid=SID, role=ROLE, key=KEY, **more):
        return self._run(self.kept.put(sid, role, key, given, **more))


def test_an_answer_is_found_by_the_next_build(store):
    with building(store) as build:
        assert build.find() is None
        assert build.put("words").unwrap() == "words"
        assert build.find().unwrap() == "words"
    with building(store) as build:
        assert build.find().unwrap() == "words"
        assert build.find(role="referrer") is None
        assert build.find(key=key(1)) is None
        assert build.find(sid="ab" + "d" * 24) is None


def test_who_is_second_uses_what_the_first_stored(store):
    with building(store) as first, building(store) as second:
        assert second.find() is None
        first.put("first")
        assert second.put("second").unwrap() == "first"
        assert second.find().unwrap() == "first"


def test_what_is_used_is_what_is_stored(store):
    with building(store) as build:
        used = build.put(Referents(objects=(np.int64(3),)), role="referrer").unwrap()
    assert used == Referents(objects=(3,))
    assert type(used.objects[0]) is int


@pytest.mark.parametrize("given", [refusal(), FAILURE])
def test_a_question_without_an_answer_is_asked_again_once_per_build(store, given):
    with building(store) as build:
        build.put(given)
        kept = build.find()
        assert kept.kind is given.kind
        with pytest.raises(SampleError) as raised:
            kept.unwrap()
        assert (raised.value.reason, raised.value.detail) == (given.reason, given.detail)
        assert raised.value.measured == given.measured
    with building(store) as build:
        assert build.find() is None
        assert build.put(given).file.round == 1
        assert build.find().file.round == 1
    with building(store) as build:
        assert build.find() is None
        assert build.put("words").file.round == 2
    with building(store) as build:
        assert build.find().unwrap() == "words"


def test_a_failure_does_not_cover_what_this_build_stored(store):
    with building(store) as build:
        build.put("words")
        assert build.put(FAILURE).unwrap() == "words"
        build.put(refusal(), key=key(1))
        assert build.put(FAILURE, key=key(1)).kind is Kind.REFUSED
    assert len(list(store.list("answers"))) == 2


def test_a_lost_race_against_a_refusal_is_a_refusal_of_this_build(store):
    with building(store) as first, building(store) as second:
        second.find()
        first.put(refusal())
        assert second.put("words").kind is Kind.REFUSED
        assert second.find().kind is Kind.REFUSED


def test_a_replay_finds_every_kind_in_its_newest_round_and_never_asks(store):
    with building(store) as build:
        build.put(refusal())
        build.put("words", key=key(1))
    with building(store) as build:
        build.put(FAILURE)
    with building(store, replay=True) as replay:
        assert replay.find().kind is Kind.FAILED
        assert replay.find(key=key(1)).unwrap() == "words"
        with pytest.raises(AnswerMissing, match=f"^{SID}-t0: no kept answer of the rewriter"):
            replay.find(key=key(2))
        with pytest.raises(RuntimeError):
            replay.put("words", key=key(2))


def test_a_missing_answer_travels_between_processes():
    missing = (MissingAnswer("editor", "a-t0", key()), MissingAnswer("editor", "b-t0", key(1)))
    error = pickle.loads(pickle.dumps(AnswerMissing(missing)))
    assert error.missing == missing
    assert str(error) == f"a-t0: no kept answer of the editor (key {key()[:24]}) and 1 more"


def test_a_replay_from_another_dataset_copies_what_it_uses(store, tmp_path):
    with building(store) as build:
        build.put("words")
        build.put("unused", key=key(1))
    own = open_store(str(tmp_path / "new"))
    with building(own, replay=True, origin=store) as replay:
        assert replay.find().unwrap() == "words"
    (copied,) = own.list("answers")
    assert own.get(copied.path) == store.get(copied.path)
    with building(own, replay=True) as replay:
        assert replay.find().unwrap() == "words"


def test_a_photograph_is_listed_once_and_an_answer_read_once_per_question(store):
    with building(store) as build:
        for n in range(10):
            build.put("words", key=key(n))
    store.calls = dict.fromkeys(store.calls, 0)
    with building(store) as build:
        for n in range(20):
            build.find(key=key(n))
    assert store.calls == {"list": 1, "find": 10, "put_if_absent": 0}


def test_many_questions_about_one_photograph_wait_for_one_listing(store):
    with KeptAnswers(store) as kept:

        async def ask():
            return await asyncio.gather(*(kept.find(SID, ROLE, key(n)) for n in range(50)))

        assert asyncio.run(ask()) == [None] * 50
    assert store.calls["list"] == 1


def test_an_answer_of_another_build_is_seen_once_the_listing_is_old(store):
    with building(store, fresh_s=0) as build, building(store) as other:
        assert build.find() is None
        other.put("words")
        assert build.find().unwrap() == "words"


def test_a_put_whose_waiter_was_cancelled_is_known_to_be_stored(store):
    with KeptAnswers(store) as kept:

        async def ask():
            await kept.find(SID, ROLE, key())
            task = asyncio.create_task(kept.put(SID, ROLE, key(), "words"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            while (found := await kept.find(SID, ROLE, key())) is None:
                await asyncio.sleep(0.001)
            return found

        assert asyncio.run(ask()).unwrap() == "words"


def test_listings_of_few_photographs_are_remembered(store):
    with building(store) as build:
        for n in range(LISTINGS + 10):
            build.find(sid=f"s{n:05}")
        assert len(build.kept._listings) == LISTINGS
        before = store.calls["list"]
        build.find(sid=f"s{LISTINGS + 9:05}")
        assert store.calls["list"] == before
        build.find(sid="s00000")
        assert store.calls["list"] == before + 1


def test_a_listing_that_failed_is_tried_again(store, monkeypatch):
    def broken(prefix=""):
        raise StorageFault("away")

    with building(store) as build:
        with monkeypatch.context() as patch:
            patch.setattr(store, "list", broken)
            with pytest.raises(StorageFault):
                build.find()
        assert build.find() is None


def test_a_flipped_bit_is_a_fault_that_names_the_path(store):
    with building(store) as build:
        path = build.put("words").file.path
    data = bytearray(store.get(path))
    data[700] ^= 1
    store.put(path, bytes(data))
    with building(store) as build, pytest.raises(DataFault, match=f"^{path}: "):
        build.find()


def test_keys_with_one_beginning_are_not_taken_for_each_other(store):
    with building(store) as build:
        build.put("words")
        with pytest.raises(DataFault, match="another question"):
            build.find(key=KEY[:24] + "0" * 40)


def test_a_reply_is_kept_beside_the_answer_with_impossible_tokens(store):
    places = ({"yes": -0.25, "no": -math.inf}, {"no": -0.5})
    reply = ChatReply(text='"yes" \ud83d', finish="stop", places=places, model="m")
    with building(store) as build:
        build.put("words", reply=reply, run="vlm")
    with building(store) as build:
        kept = build.find()
    assert kept.reply == reply
    assert kept.file.asked.run == "vlm"


def test_a_reply_of_an_earlier_version_has_the_alternatives_of_its_first_token(store):
    with building(store) as build:
        kept = build.put("words", reply=ChatReply(text="yes", model="m"), run="vlm")
    said = {"finish": "stop", "model": "m", "logprobs": {"yes": -0.25, "no": "-inf"}}
    earlier = replace(kept, file=replace(kept.file, reply=said))
    assert earlier.reply.places == ({"yes": -0.25, "no": -math.inf},)
    assert replace(kept, file=replace(kept.file, reply={**said, "logprobs": {}})).reply.places == ()


def test_an_answer_that_is_an_image_can_be_referred_to(store):
    image = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    with building(store) as build:
        ref = build.put(image, role="editor").blobs["answer.png"]
        kept = build.find(role="editor")
    assert np.array_equal(kept.unwrap(), image)
    assert store.get_range(ref.path, ref.offset, ref.length) == kept.file.blobs["answer.png"]


def test_an_error_text_is_kept_without_addresses(store):
    with building(store) as build:
        kept = build.put(refusal(note="http://10.1.2.3:8000/v1?key=abc said no"))
    assert kept.file.note == "<url> said no"


def test_paths_lie_in_the_folder_of_the_photograph(store):
    with building(store) as build:
        path = build.put("words").file.path
        assert answer_name(path).sid == SID
        with pytest.raises(ValueError, match="expected the id of a photograph"):
            build.find(sid="../up")
