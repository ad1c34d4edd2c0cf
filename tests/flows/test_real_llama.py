"""A build whose rewriter and text judge are a real small language model behind llama.cpp's server.

A model of 135 million parameters writes badly, which is what the gates are for: how they refuse is printed, and what
they let through, to be read by eye (``-s``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.backends.served.text_judge import ChatTextJudge, TextJudgeOptions
from tasks.records.errors import FAILURES
from tasks.roles import backends
from tasks.roles.picture import Picture
from tasks.roles.questions import TextQuestion
from tasks.stages.instruction.word_gates import GateResult, WordGates, Wording, first_refusal
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.commits import commit_from
from tests.flows.drawn.builds import Count, profile, run, stored_answers, written
from tests.flows.drawn.photographs import lay_out
from tests.flows.drawn.script import DrawnScript
from tests.serving.chat_server import ChatServer
from tests.serving.llama_server import CONTEXT, MODEL, llama_server

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("drawn_models")]

COUNT = 4


class BlindTextJudge(ChatTextJudge):
    """The text judge for a model that takes no pictures: whether the words agree with each other."""

    @classmethod
    def pictures(cls, options: TextJudgeOptions) -> int:
        return 0

    @classmethod
    def parts(cls, options: TextJudgeOptions, question: TextQuestion) -> tuple[str | Picture, ...]:
        return tuple(part for part in super().parts(options, question) if isinstance(part, str))


@pytest.fixture
def blind_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backends.BACKENDS["text_judge"], "blind", f"{__name__}:BlindTextJudge")


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    with llama_server() as url:
        yield url


def test_its_rewritings_and_verdicts_come_through_the_same_doors(
    llama: str, blind_judge: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[tuple[Wording, GateResult | None]] = []
    of_final = WordGates.of_final

    def noted(self: WordGates, wording: Wording, offers: Any) -> tuple[GateResult, ...]:
        results = of_final(self, wording, offers)
        judged.append((wording, first_refusal(results)))
        return results

    monkeypatch.setattr(WordGates, "of_final", noted)
    lay_out(tmp_path / "photographs", COUNT)
    with ChatServer(DrawnScript()) as server:
        tree = profile(server.url)
        tree["servers"]["small"] = {
            "model": {"id": MODEL, "context_length": CONTEXT},
            "urls": [llama],
            "in_flight": 4,
            "bad_replies": 1,
        }
        # llama.cpp does not know all of vLLM's fields.
        rewriter = {"fields": "openai", "max_tokens": 60}
        tree["instruction"] |= {
            "rewriter": {"backend": "chat", "run": "small", "options": rewriter},
            "text_judge": {"backend": "blind", "run": "small", "options": {"fields": "openai"}},
            "min_agreement": 0.0,
            "rewrite_tries": 2,
        }
        count = Count(server)
        run(written(tmp_path, tree), tmp_path / "photographs", tmp_path / "out")
        roles = count.stop().roles
    assert not {"rewriter", "text_judge"} & roles.keys(), "only the small model was asked"
    kept = stored_answers(tmp_path / "out")
    rewritten = [(wording, refusal) for wording, refusal in judged if wording.rewritten]
    refused = Counter(
        refusal.reason.value for _, refusal in rewritten if refusal is not None and refusal.reason
    )
    print(
        f"\n{kept['rewriter']} rewritings stored, {kept['text_judge']} verdicts; {len(rewritten)} were read"
    )
    print(f"refused by a gate: {refused.total()} of {len(rewritten)}: {dict(refused)}")
    for wording, refusal in rewritten:
        fate = "kept" if refusal is None else f"refused, {refusal.reason}"
        print(f"  {wording.instruction}\n    -> {wording.rewritten}   [{fate}]")
    failures = reasons(tmp_path / "out")
    print(f"failures: {failures}")
    assert kept["rewriter"] >= COUNT
    assert rewritten
    assert failures.keys() <= {reason.value for reason in FAILURES}


def reasons(out: Path) -> dict[str, int]:
    """Failures of all stages by reason."""
    store, found = open_store(str(out)), Counter[str]()
    for item in store.list("stages"):
        if "/commits/" in item.path:
            for name, count in commit_from(store.get(item.path), item.path).counts["reasons"].items():
                reason = name.partition(":")[2]
                if reason in FAILURES:
                    found[reason] += count
    return dict(found)
