"""How close the router comes to the busiest resource: simulated roles of known cost, real queues, batches and HTTP.

    python -m tests.benchmarks.serving                  each stage with 20 s of its busiest resource
    python -m tests.benchmarks.serving --seconds 2      a look

Three stages ask as the real ones do: a chain of questions per sample, several samples at a time. Pools take a fixed
time per batch and some per question, in one replica after the other; servers answer a fixed number of requests at a
time after a fixed latency, in processes of their own, over HTTP. Answers are kept on disk before they are used.

A resource's least time is what its questions would take in full batches and with every place taken, divided by its
replicas or places; for the CPU of this process, which asks and routes, it is the time measured. The ratio of the wall
time to the largest of these says what waiting for each other costs. The same questions asked one at a time, a tenth of
the samples, say what it gains.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.answers import KeptAnswers
from tasks.roles.backend import Backend, LocalBackend, ServedBackend
from tasks.roles.backends import BackendChoice
from tasks.roles.calls import RoleCall, Route
from tasks.roles.chat import ChatReply, ChatRequest
from tasks.roles.placement import PoolSettings, ServerSettings
from tasks.roles.router import Router
from tasks.storage.objects.store import open_store

MODEL = "test-model"
SAMPLES_IN_FLIGHT = 96
PART_ALONE = 10
"""One sample in so many is asked one at a time."""

BOUND = 1.15


@dataclass(frozen=True, kw_only=True)
class PoolCost:
    """Seconds per batch and per question in it, at most ``max_batch``, in ``replicas`` at a time."""

    batch_s: float
    question_s: dict[str, float]
    max_batch: int
    replicas: int = 1

    def least_s(self, asked: Counter[str]) -> float:
        """Least time for so many questions of each role."""
        questions = sum(asked[role] * cost for role, cost in self.question_s.items())
        batches = sum(asked[role] for role in self.question_s) / self.max_batch
        return (questions + batches * self.batch_s) / self.replicas


@dataclass(frozen=True, kw_only=True)
class ServerCost:
    """Seconds per answer, ``places`` of them at a time."""

    latency_s: float
    places: int
    roles: tuple[str, ...]

    def least_s(self, asked: Counter[str]) -> float:
        """Least time for so many questions of each role."""
        return sum(asked[role] for role in self.roles) * self.latency_s / self.places


POOLS = {
    "perception": PoolCost(
        batch_s=0.04, question_s={"tagger": 0.003, "detector": 0.005, "segmenter": 0.01}, max_batch=8
    ),
    "painting": PoolCost(batch_s=0.0, question_s={"editor": 0.08}, max_batch=1, replicas=2),
}
SERVERS = {
    "vlm": ServerCost(latency_s=0.2, places=32, roles=("target_judge", "referrer", "edit_judge")),
    "writer": ServerCost(latency_s=0.3, places=16, roles=("instructor", "rewriter")),
}
STAGES: dict[str, tuple[str, ...]] = {
    "grounding": ("tagger", "detector", "segmenter", "target_judge", "target_judge"),
    "instruction": ("instructor", "rewriter", "referrer"),
    "editing": ("editor", "detector", "segmenter", "edit_judge"),
}
"""Roles that a sample of a stage asks, one after the other."""

PLACES = {**{role: name for name, cost in POOLS.items() for role in cost.question_s}} | {
    role: name for name, cost in SERVERS.items() for role in cost.roles
}


class _Simulated(Backend[Any, Any]):
    Options: ClassVar[type[Settings]] = Settings
    answering: ClassVar[frozenset[str]] = frozenset()
    wire: ClassVar[int] = 1

    def __init__(self, options: Settings) -> None:
        del options

    @classmethod
    def identity_of(cls, options: Any) -> ModelIdentity:
        return ModelIdentity(role="any", backend="simulated", model=MODEL, revision="1", digest="none")


class SimulatedLocal(_Simulated, LocalBackend[Any, Any]):
    """Never loaded: its replicas are simulated as a whole."""

    reproducible: ClassVar[bool] = True

    def answer(self, questions: Sequence[Any]) -> Sequence[Any]:
        raise NotImplementedError


class SimulatedServed(_Simulated, ServedBackend[Any, Any]):
    """Takes any reply."""

    reproducible: ClassVar[bool] = False

    def request(self, question: Any) -> ChatRequest:
        return ChatRequest(parts=(str(question),), sampling={"max_tokens": 16, "temperature": 0}, seed=0)

    def read(self, reply: ChatReply, request: ChatRequest) -> Any:
        # Rewriting is the role that is answered by a text, so that this can be kept under any server's role.
        return reply.text


class SimulatedReplica:
    """One batch after the other, each in the time that it costs."""

    def __init__(self, cost: PoolCost) -> None:
        self.cost = cost
        self._turn = asyncio.Lock()

    async def answer(self, route: str, payloads: Sequence[Any]) -> Sequence[Any]:
        async with self._turn:
            await asyncio.sleep(self.cost.batch_s + len(payloads) * self.cost.question_s[route])
        return list(payloads)

    async def close(self) -> None:
        pass


def routes() -> list[Route]:
    """One per role; kept ones all under the role of the rewriter, whose answers are texts."""
    found = []
    for role, run in PLACES.items():
        backend: type[_Simulated] = SimulatedLocal if run in POOLS else SimulatedServed
        choice = BackendChoice(
            role="rewriter", name="simulated", backend=backend, options=Settings(), prompts=()
        )
        found.append(Route(name=role, role="rewriter", choice=choice, run=run))
    return found


@contextmanager
def server_urls() -> Iterator[dict[str, str]]:
    """Starts the servers, each a process that ends with its standard input."""
    with ExitStack() as stack:
        urls = {}
        for name, cost in SERVERS.items():
            command = [sys.executable, "-m", "tests.serving.chat_server", "--model", MODEL]
            command += ["--latency", str(cost.latency_s), "--at-work", str(cost.places)]
            process = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            assert process.stdout is not None
            assert process.stdin is not None
            stack.callback(process.stdin.close)
            urls[name] = process.stdout.readline().strip()
        yield urls


@asynccontextmanager
async def routing(urls: dict[str, str], folder: str) -> AsyncIterator[Router]:
    """A router over the simulated pools and the started servers."""

    async def make_replica(pool: str) -> SimulatedReplica:
        return SimulatedReplica(POOLS[pool])

    pools = {
        name: PoolSettings(
            holds=tuple(cost.question_s), max_batch=cost.max_batch, replicas=cost.replicas, max_wait_ms=20
        )
        for name, cost in POOLS.items()
    }
    servers = {
        name: ServerSettings.model_validate(
            {"model": {"id": MODEL}, "urls": [urls[name]], "in_flight": cost.places}
        )
        for name, cost in SERVERS.items()
    }
    with KeptAnswers(open_store(folder)) as keeper:
        router = Router(routes(), pools=pools, servers=servers, keeper=keeper, make_replica=make_replica)
        try:
            yield router
        finally:
            await router.close()


async def ask_sample(router: Router, stage: str, sample: int) -> None:
    """What one sample asks in one stage."""
    sid = hashlib.sha256(f"photograph {sample // 4}".encode()).hexdigest()[:26]
    backend = SimulatedServed(Settings())
    for step, role in enumerate(STAGES[stage]):
        question = f"{stage} {sample} {step} {role}"
        served = PLACES[role] in SERVERS
        await router.ask(
            RoleCall(
                route=role,
                key=hashlib.sha256(question.encode()).hexdigest(),
                sid=sid,
                subject=question,
                payload=backend.request(question) if served else question,
            )
        )


def asked_by(stage: str, samples: int) -> Counter[str]:
    """Questions per role."""
    return Counter({role: times * samples for role, times in Counter(STAGES[stage]).items()})


def samples_for(stage: str, seconds: float) -> int:
    """Samples that give the busiest simulated resource so much to do."""
    costs = [cost.least_s(asked_by(stage, 1000)) / 1000 for cost in (*POOLS.values(), *SERVERS.values())]
    return round(seconds / max(costs))


async def run_stage(
    urls: dict[str, str], stage: str, samples: int, in_flight: int
) -> tuple[float, float, str]:
    """Wall and CPU seconds of one stage, and how full its batches were."""
    with tempfile.TemporaryDirectory() as folder:
        async with routing(urls, folder) as router:
            await router.ready(list(POOLS))
            places = asyncio.Semaphore(in_flight)

            async def one(sample: int) -> None:
                async with places:
                    await ask_sample(router, stage, sample)

            begun, cpu = time.perf_counter(), time.process_time()
            await asyncio.gather(*(one(sample) for sample in range(samples)))
            wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
            counts = router.status()["routes"].items()
            fill = ", ".join(f"{role} {c['batch_fill']:.2f}" for role, c in counts if c["batch_fill"])
            return wall, cpu, fill


async def measure(urls: dict[str, str], seconds: float) -> list[tuple[str, float, float]]:
    """Prints a line per stage; gives name, wall and least seconds of each."""
    rows = []
    for stage in STAGES:
        samples = samples_for(stage, seconds)
        asked = asked_by(stage, samples)
        wall, cpu, fill = await run_stage(urls, stage, samples, SAMPLES_IN_FLIGHT)
        least = {name: cost.least_s(asked) for name, cost in (POOLS | SERVERS).items()}
        least["cpu"] = cpu
        busiest = max(least, key=lambda name: least[name])
        alone, _, _ = await run_stage(urls, stage, max(1, samples // PART_ALONE), 1)
        gain = alone * PART_ALONE / wall
        shares = ", ".join(f"{name} {s:.1f}" for name, s in least.items() if s > 0)
        print(f"{stage}: {samples} samples, {asked.total()} questions; least seconds: {shares}")
        print(
            f"  wall {wall:.1f} s, {busiest} {least[busiest]:.1f} s; one at a time {gain:.0f} times as long"
        )
        print(f"  batch fill: {fill or 'no pool'}")
        rows.append((stage, wall, least[busiest]))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of the busiest resource, per stage")
    arguments = parser.parse_args()
    with server_urls() as urls:
        rows = asyncio.run(measure(urls, arguments.seconds))
    rows.append(("total", sum(wall for _, wall, _ in rows), sum(least for _, _, least in rows)))
    print(f"wall over busiest resource (at most {BOUND}):")
    for stage, wall, least in rows:
        print(f"  {stage:<12} {wall / least:.3f}")
    if any(wall / least > BOUND for _, wall, least in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
