"""What many kept answers cost: opening their dataset, finding and storing one, memory, and the walk of `verify`.

    python -m tests.benchmarks.kept_answers --photographs 30000 --answers 10 --out FOLDER

Made-up answers of several roles, 1 of 20 an image of 512 x 512, are written into a local folder (kept for a second
run when ``--out`` is given); the measured part runs in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tasks.records.errors import Reason
from tasks.records.records import Box, Reasoning
from tasks.roles.answers import KeptAnswers
from tasks.roles.kept_answer import NoAnswer
from tasks.roles.questions import Detection, WrittenInstruction
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.answer_files import Kind
from tasks.storage.reports.answers_audit import AnswersAudit, answers_below

BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
IN_FLIGHT = 64


def sid(number: int) -> str:
    """The id that a made-up photograph would have."""
    digest = hashlib.sha256(b"photograph %d" % number).digest()
    return "".join(BASE32[byte % 32] for byte in digest[:26])


def key(number: int, question: int) -> str:
    """The key of a made-up question."""
    return hashlib.sha256(b"%d %d" % (number, question)).hexdigest()


def answer(number: int, question: int) -> tuple[str, object]:
    """Role and answer; one in twenty is an image, one in fifty was refused."""
    n = 10 * number + question
    if n % 50 == 7:
        return "instructor", NoAnswer(kind=Kind.REFUSED, reason=Reason.BAD_REPLY, detail="not_json")
    if n % 20 == 3:
        image = np.random.default_rng(n).integers(0, 256, (32, 32, 3), np.uint8)
        return "editor", np.kron(image, np.ones((16, 16, 1), np.uint8))
    if n % 2:
        box = Box(x0=n % 100, y0=0, x1=n % 100 + 50, y1=50)
        return "detector", tuple(Detection(label="cup", box=box, score=s / 20) for s in range(10))
    words = f"The cup number {n} stands to the left of the bottle, near the edge of the table. " * 2
    parts = Reasoning(
        scene_description=words,
        target_localization=words,
        editing_description=words,
        post_edit_description=words,
    )
    return "instructor", WrittenInstruction(
        edit_type="Color", instruction=words, argument="blue", reasoning=parts
    )


async def in_flight(jobs: list) -> None:
    """Run coroutine functions, some at a time."""
    waiting = iter(jobs)

    async def work() -> None:
        for job in waiting:
            await job()

    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


def write(out: Path, photographs: int, answers: int) -> float:
    """Store what is missing; seconds."""
    began = time.monotonic()
    with KeptAnswers(open_store(str(out))) as kept:

        async def photograph(number: int) -> None:
            for question in range(answers):
                role, given = answer(number, question)
                await kept.put(sid(number), role, key(number, question), given)

        asyncio.run(in_flight([lambda n=n: photograph(n) for n in range(photographs)]))
    return time.monotonic() - began


def peak_mb() -> float:
    """Most memory that this process had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(out: Path, photographs: int, answers: int) -> dict[str, float]:
    """All figures, in this process."""
    found: dict[str, float] = {"memory_before_mb": peak_mb()}
    began = time.monotonic()
    store = open_store(str(out))
    with KeptAnswers(store) as kept:
        found["open_s"] = time.monotonic() - began
        seconds: list[float] = []
        hits = 0

        async def photograph(number: int) -> None:
            nonlocal hits
            for question in range(answers):
                role, _ = answer(number, question)
                begun = time.monotonic()
                kept_answer = await kept.find(sid(number), role, key(number, question))
                seconds.append(time.monotonic() - begun)
                hits += kept_answer is not None

        async def one_by_one() -> None:
            for number in range(min(200, photographs)):
                await photograph(number)

        asyncio.run(one_by_one())
        found["find_alone_ms"] = 1000 * statistics.median(seconds)
        seconds.clear()
        hits = 0
        began = time.monotonic()
        asyncio.run(in_flight([lambda n=n: photograph(n) for n in range(photographs)]))
        total = time.monotonic() - began
        found["finds"] = len(seconds)
        found["hits"] = hits
        found["finds_per_s"] = len(seconds) / total
        found["find_64_in_flight_median_ms"] = 1000 * statistics.median(seconds)
        found["memory_after_finds_mb"] = peak_mb()
        listed = len(kept._listings)
    found["listings_remembered"] = listed
    began = time.monotonic()
    found["walked"] = sum(1 for _ in answers_below(store))
    found["walk_s"] = time.monotonic() - began
    began = time.monotonic()
    audit = AnswersAudit().walk(store, deep=True)
    found["deep_walk_s"] = time.monotonic() - began
    found["faults"] = len(audit.faults)
    found["gb"] = audit.bytes / 1e9
    found["memory_after_walk_mb"] = peak_mb()
    return found


def main() -> None:
    """Write, then measure in a process of its own, then print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=int, default=1000)
    parser.add_argument("--answers", type=int, default=10, help="per photograph")
    parser.add_argument("--out", type=Path, help="folder, reused when it holds answers")
    parser.add_argument("--measure", action="store_true", help="only measure what --out holds")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.out, options.photographs, options.answers)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        out = options.out or Path(scratch) / "out"
        if not (out / "answers").exists():
            seconds = write(out, options.photographs, options.answers)
            count = options.photographs * options.answers
            print(f"{'write_s':<30}{seconds:12.1f}\n{'puts_per_s':<30}{count / seconds:12.1f}")
        command = [sys.executable, "-m", "tests.benchmarks.kept_answers", "--measure", "--out", str(out)]
        sizes = ["--photographs", str(options.photographs), "--answers", str(options.answers)]
        done = subprocess.run([*command, *sizes], check=True, capture_output=True, text=True)
        for name, value in json.loads(done.stdout).items():
            print(f"{name:<30}{value:12.3f}")


if __name__ == "__main__":
    main()
