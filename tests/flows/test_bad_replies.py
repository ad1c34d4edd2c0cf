"""Builds whose server sends every bad reply there is to one role: the funnel equals what was sent, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from tasks.records.errors import FAILURES
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.answer_files import Kind, answer_from
from tasks.storage.protocol.commits import commit_from
from tests.flows.drawn.builds import profile, run, written
from tests.flows.drawn.photographs import lay_out
from tests.flows.drawn.script import DrawnScript
from tests.serving.bad_replies import MENDED, REFUSED, BadReply
from tests.serving.chat_server import ChatServer
from tests.serving.scripts import ROLES, Answer, Asked

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("drawn_models")]

COUNT = 8
BAD_REPLIES = 2


class SickServer:
    """Sends one kind of bad reply to each question of a role, in the order in which the questions come.

    Mended kinds and refused ones take turns. A question that is put again gets the same kind again.
    """

    def __init__(self, role: str) -> None:
        self.role = role
        kinds = [[kind for kind in table if role in kind.roles] for table in (MENDED, REFUSED)]
        self.left = [kind for pair in zip_longest(*kinds) for kind in pair if kind is not None]
        self.sent: dict[str, BadReply] = {}
        self.requests: Counter[str] = Counter()
        self._script = DrawnScript()

    def __call__(self, asked: Asked) -> Answer:
        good = self._script(asked)
        if asked.role != self.role:
            return good
        question = self._question(asked)
        if question not in self.sent and self.left:
            self.sent[question] = self.left.pop(0)
        if question not in self.sent:
            return good
        self.requests[question] += 1
        return self.sent[question].send(good.text)

    def _question(self, asked: Asked) -> str:
        """What is asked and the seed of the first time: it is raised by one each time the question is put again."""
        said = hashlib.sha256(json.dumps(asked.parts).encode()).hexdigest()
        seeds = [asked.seed - n for n in range(1, BAD_REPLIES + 1)] if asked.again else [asked.seed]
        names = [f"{said}-{seed}" for seed in seeds]
        return next((name for name in names if name in self.sent), names[0])

    def refused(self) -> Counter[str]:
        """Code -> how many questions got nothing else."""
        return Counter(kind.code for kind in self.sent.values() if kind.code)


def tree(url: str) -> dict[str, Any]:
    """Many questions of each role, and no stop however many of them fail."""
    settings = profile(url, bad_replies=BAD_REPLIES)
    settings["grounding"]["target"]["max_targets"] = 4
    settings["instruction"]["plans_per_target"] = 2
    settings["execution"]["failed_share_after"] = 10_000
    return settings


def rows(out: Path) -> Counter[str]:
    """Failures of all commits by reason."""
    store, found = open_store(str(out)), Counter[str]()
    for item in store.list("stages"):
        if "/commits/" in item.path:
            counts = commit_from(store.get(item.path), item.path).counts
            assert sum(counts["reasons"].values()) >= 0
            found.update({name.partition(":")[2]: n for name, n in counts["reasons"].items()})
    failures = {reason.value for reason in FAILURES}
    return Counter({reason: n for reason, n in found.items() if reason in failures})


# A tagger is asked once per photograph, too seldom for all kinds; `test_over_http` puts each of them to it.
@pytest.mark.parametrize("role", [role for role in ROLES if role != "tagger"])
def test_the_funnel_equals_what_was_sent(role: str, tmp_path: Path) -> None:
    lay_out(tmp_path / "photographs", COUNT)
    sick = SickServer(role)
    with ChatServer(sick) as server:
        run(written(tmp_path, tree(server.url)), tmp_path / "photographs", tmp_path / "out")
    assert not sick.left, f"{len(sick.sent)} questions are too few for all kinds"
    store = open_store(str(tmp_path / "out"))
    files = [answer_from(store.get(item.path), item.path) for item in store.list("answers")]
    refused = [file for file in files if file.kind is not Kind.ANSWER]

    # Every question has the answer it was sent, or a kept refusal with the code and the whole reply.
    assert {file.role for file in refused} == {role}
    assert Counter(file.detail.partition(":")[0] for file in refused) == sick.refused()
    assert all("reply.txt" in file.blobs for file in refused)

    # Each is asked again with the reason, as often as the server's settings say; apologies once, filters never.
    often = {"apology": 2, "content filter": 1, "": 1}
    asked = {kind: sick.requests[question] for question, kind in sick.sent.items()}
    assert asked == {kind: often.get(kind.code, BAD_REPLIES + 1) for kind in asked}

    # A sample whose question got no answer has a row with its reason. A rewriting is the one that can be done without.
    sent = Counter(kind.reason for kind in sick.sent.values() if kind.code)
    assert rows(tmp_path / "out") == (Counter() if role == "rewriter" else sent)
