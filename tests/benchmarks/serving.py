"""How close a worker and its router come to the busiest resource: simulated roles, real engine, batches and HTTP.

    python -m tests.benchmarks.serving                  each stage with 20 s of its busiest resource
    python -m tests.benchmarks.serving --seconds 2      a look

Three stages ask as the real ones do: per sample a chain of questions with a computing step before each, several units
of samples at a time. Pools take a fixed time per batch and some per question, in one replica after the other; servers
answer a fixed number of requests at a time after a fixed latency, in processes of their own. Answers of servers are
kept on disk before they are used. What is left out is reading photographs and committing units.

A resource's least time is what its questions would take in full batches and with every place taken, divided by its
replicas or places; for computing steps their number times what one takes; for the event loop, its CPU time. The wall
time over the largest of these says what waiting for each other costs. The same questions asked one at a time, by a
tenth of the samples, say what is gained.
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
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, cast

from flows.build.role_services import LocalClient
from tasks.records.errors import Reason
from tasks.records.outcomes import Outcome, PixelReader, SourceEntry, StageInput
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.answers import KeptAnswers
from tasks.roles.backend import Backend, LocalBackend, ServedBackend
from tasks.roles.backends import BackendChoice
from tasks.roles.calls import Route
from tasks.roles.chat import ChatReply, ChatRequest
from tasks.roles.placement import PoolSettings, ServedModel, ServerSettings
from tasks.roles.questions import Question
from tasks.roles.router import Router
from tasks.stages.sample_stage import SampleStage, Workbench
from tasks.storage.objects.store import open_store
from tasks.worker.engine import UNKNOWN_MEGAPIXELS, Engine, EngineSettings
from tasks.worker.role_asks import RoutedAsk

T = TypeVar("T")

MODEL = "test-model"
SAMPLES_IN_FLIGHT = 96
UNIT_SIZE = 32
UNITS_IN_FLIGHT = 4
STEP_BYTES = bytes(2_000_000)
NO_PIXELS = cast("PixelReader", None)
ENTRY = SourceEntry(
    location="photos/one.jpg",
    source="photos",
    path="one.jpg",
    member="",
    offset=0,
    length=0,
    version="",
    problem="",
)
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedQuestion(Question):
    """Words alone."""

    text: str

    def material(self) -> Mapping[str, Any]:
        return {"text": self.text}


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

    def request(self, question: SimulatedQuestion) -> ChatRequest:
        return ChatRequest(
            parts=(question.text,), sampling={"max_tokens": 16, "temperature": 0}, seed=question.seed
        )

    def read(self, reply: ChatReply, request: ChatRequest) -> str:
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


def routes() -> dict[str, Route]:
    """One per role; all under the role of the rewriter, whose answers are texts and can be kept as such."""
    found = {}
    for role, run in PLACES.items():
        backend: type[_Simulated] = SimulatedLocal if run in POOLS else SimulatedServed
        choice = BackendChoice(
            role="rewriter", name="simulated", backend=backend, options=Settings(), prompts=()
        )
        served = ServedModel(id=MODEL) if run in SERVERS else None
        found[role] = Route(name=role, role="rewriter", choice=choice, run=run, served=served)
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


async def make_router(urls: dict[str, str], keeper: KeptAnswers) -> Router:
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
    router = Router(
        [*routes().values()], pools=pools, servers=servers, keeper=keeper, make_replica=make_replica
    )
    await router.ready(list(POOLS))
    return router


def compute() -> None:
    """A computing step, which lets other threads run as OpenCV's do."""
    hashlib.sha256(STEP_BYTES)


def simulated_stage(stage: str, asks: Mapping[str, RoutedAsk]) -> SampleStage:
    """What one sample does in a stage."""

    async def work(item: StageInput, bench: Workbench) -> Outcome:
        for step, role in enumerate(STAGES[stage]):
            await bench.cpu(compute)
            text = f"{stage} {item.id} {step} {role}"
            await asks[role](SimulatedQuestion(subject=item.id, text=text))
        return Outcome(input_id=item.id, reason=Reason.NO_TARGET)

    return work


def asked_by(stage: str, samples: int) -> Counter[str]:
    """Questions per role."""
    return Counter({role: times * samples for role, times in Counter(STAGES[stage]).items()})


def samples_for(stage: str, seconds: float) -> int:
    """Samples that give the busiest simulated resource so much to do."""
    costs = [cost.least_s(asked_by(stage, 1000)) / 1000 for cost in (*POOLS.values(), *SERVERS.values())]
    return round(seconds / max(costs))


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Seconds of wall time and of the event loop's CPU time, and how full batches were, by role."""

    wall_s: float
    loop_s: float
    fill: dict[str, float]


def run_stage(urls: dict[str, str], stage: str, samples: int, in_flight: int) -> Measured:
    """One stage over so many samples, in units."""
    settings = EngineSettings(samples=in_flight, megapixels=in_flight * UNKNOWN_MEGAPIXELS)
    inputs = [StageInput(id=f"{hash_of(n)}-{n}", record=ENTRY, blobs={}) for n in range(samples)]
    units = [inputs[i : i + UNIT_SIZE] for i in range(0, samples, UNIT_SIZE)]
    with tempfile.TemporaryDirectory() as folder, KeptAnswers(open_store(folder)) as keeper:
        engine = Engine(settings)

        def on_loop(work: Coroutine[Any, Any, T]) -> T:
            return asyncio.run_coroutine_threadsafe(work, engine.loop).result()

        async def loop_seconds() -> float:
            return time.thread_time()

        router = on_loop(make_router(urls, keeper))
        asks = {
            role: RoutedAsk(route.choice, route, engine, LocalClient(router))
            for role, route in routes().items()
        }
        work = simulated_stage(stage, asks)
        begun, loop_begun = time.perf_counter(), on_loop(loop_seconds())
        with ThreadPoolExecutor(UNITS_IN_FLIGHT) as threads:
            for outcomes in threads.map(lambda unit: engine.answer(work, unit, NO_PIXELS), units):
                assert all(outcome.reason is Reason.NO_TARGET for outcome in outcomes)
        wall, loop = time.perf_counter() - begun, on_loop(loop_seconds()) - loop_begun
        counts = router.status()["routes"]
        on_loop(router.close())
        engine.close()
    fill = {role: c["batch_fill"] for role, c in counts.items() if c["batch_fill"] is not None}
    return Measured(wall_s=wall, loop_s=loop, fill=fill)


def hash_of(sample: int) -> str:
    """Id of the photograph of a sample; four samples share one."""
    return hashlib.sha256(f"photograph {sample // 4}".encode()).hexdigest()[:26]


def step_seconds() -> float:
    """What one computing step takes here."""
    begun = time.perf_counter()
    for _ in range(50):
        compute()
    return (time.perf_counter() - begun) / 50


def measure(urls: dict[str, str], seconds: float) -> list[tuple[str, float, float]]:
    """Prints two lines per stage; gives name, wall and least seconds of each."""
    rows = []
    for stage in STAGES:
        samples = samples_for(stage, seconds)
        asked = asked_by(stage, samples)
        least = {name: cost.least_s(asked) for name, cost in (POOLS | SERVERS).items()}
        least["steps"] = asked.total() * step_seconds()
        found = run_stage(urls, stage, samples, SAMPLES_IN_FLIGHT)
        least["loop"] = found.loop_s
        busiest = max(least, key=lambda name: least[name])
        alone = run_stage(urls, stage, max(1, samples // PART_ALONE), 1)
        gain = alone.wall_s * PART_ALONE / found.wall_s
        shares = ", ".join(f"{name} {s:.1f}" for name, s in least.items() if s > 0)
        fill = ", ".join(f"{role} {share:.2f}" for role, share in found.fill.items()) or "no pool"
        print(
            f"{stage}: {samples} samples, {asked.total()} questions; least seconds: {shares}; batches: {fill}"
        )
        print(
            f"  wall {found.wall_s:.1f} s, {busiest} {least[busiest]:.1f} s; "
            f"one at a time {gain:.0f} times as long"
        )
        rows.append((stage, found.wall_s, least[busiest]))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of the busiest resource, per stage")
    arguments = parser.parse_args()
    with server_urls() as urls:
        rows = measure(urls, arguments.seconds)
    rows.append(("total", sum(wall for _, wall, _ in rows), sum(least for _, _, least in rows)))
    print(f"wall over busiest resource (at most {BOUND}):")
    for stage, wall, least in rows:
        print(f"  {stage:<12} {wall / least:.3f}")
    if any(wall / least > BOUND for _, wall, least in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
