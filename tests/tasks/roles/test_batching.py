from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tasks.records.errors import (
    EnvironmentFault,
    ModelUnavailable,
    OutOfMemory,
    Reason,
    SampleError,
    StageStopped,
)
from tasks.roles.batching import Pool
from tasks.roles.replicas import Cause, OwnerDied, ReplicaDied
from tests.tasks.roles.scripted_replicas import ScriptedMaker, ask_all, counts, crash, good, reasons, settings


def test_questions_that_come_together_go_out_together() -> None:
    async def run() -> None:
        maker = ScriptedMaker()
        pool = Pool("vision", settings(max_batch=8), maker, counts())
        assert await ask_all(pool, range(20)) == good(range(20))
        assert [len(batch) for batch in maker.batches] == [8, 8, 4]
        await pool.close()

    asyncio.run(run())


def test_a_replica_has_at_most_two_batches_in_hand_and_roles_do_not_mix() -> None:
    async def run() -> None:
        maker = ScriptedMaker()
        pool = Pool("vision", settings(max_batch=2), maker, counts("tags", "boxes"))
        answers = await asyncio.gather(ask_all(pool, range(9)), ask_all(pool, range(50, 59), "boxes"))
        assert answers[1] == [f"boxes:{p}" for p in range(50, 59)]
        assert maker.most_at_work == 2
        assert all(len({p >= 50 for p in batch}) == 1 for batch in maker.batches)
        await pool.close()

    asyncio.run(run())


def test_a_batch_that_is_not_full_goes_out_to_a_busy_replica_when_it_has_waited() -> None:
    async def run() -> None:
        maker = ScriptedMaker()
        maker.gate.clear()
        pool = Pool("vision", settings(max_batch=8, max_wait_ms=10), maker, counts())
        first = asyncio.create_task(pool.ask("tags", 1))
        while not maker.batches:
            await asyncio.sleep(0.001)
        second = asyncio.create_task(pool.ask("tags", 2))
        while maker.made[0].at_work < 2:
            await asyncio.sleep(0.001)
        maker.gate.set()
        assert await asyncio.gather(first, second) == good([1, 2])
        await pool.close()

    asyncio.run(run())


def test_several_replicas_share_the_work() -> None:
    async def run() -> None:
        maker = ScriptedMaker()
        maker.gate.clear()
        pool = Pool("vision", settings(max_batch=2, replicas=3), maker, counts())
        await pool.ready()
        asking = asyncio.create_task(ask_all(pool, range(12)))
        while sum(replica.at_work for replica in maker.made) < 6:
            await asyncio.sleep(0.001)
        assert [replica.at_work for replica in maker.made] == [2, 2, 2]
        maker.gate.set()
        assert await asking == good(range(12))
        await pool.close()
        assert all(replica.closed for replica in maker.made)

    asyncio.run(run())


def test_halving_finds_the_one_bad_question_among_sixteen() -> None:
    def script(route: str, payloads: list[int]) -> list[str]:
        if 11 in payloads:
            msg = "size of tensor a must match size of tensor b"
            raise RuntimeError(msg)
        return good(payloads)

    async def run() -> None:
        maker = ScriptedMaker(script)
        pool = Pool("vision", settings(), maker, counts())
        answers = await ask_all(pool, range(16))
        assert reasons(answers) == [*good(range(11)), "backend_error", *good(range(12, 16))]
        assert answers[11].detail == "RuntimeError"
        assert len(maker.batches) == 9
        assert len(maker.made) == 1
        await pool.close()

    asyncio.run(run())


def test_an_error_in_place_of_an_answer_leaves_the_neighbors_theirs() -> None:
    def script(route: str, payloads: list[int]) -> list[Any]:
        return [SampleError(Reason.MASK_NOT_PRECISE) if p == 2 else f"tags:{p}" for p in payloads]

    async def run() -> None:
        maker = ScriptedMaker(script)
        pool = Pool("vision", settings(), maker, counts())
        assert reasons(await ask_all(pool, range(4))) == ["tags:0", "tags:1", "mask_not_precise", "tags:3"]
        assert len(maker.batches) == 1
        await pool.close()

    asyncio.run(run())


def test_what_does_not_fit_together_is_halved_and_what_does_not_fit_alone_is_asked_twice() -> None:
    def script(route: str, payloads: list[int]) -> list[str]:
        if len(payloads) > 4 or 3 in payloads:
            msg = "CUDA"
            raise OutOfMemory(msg)
        return good(payloads)

    async def run() -> None:
        maker = ScriptedMaker(script)
        pool = Pool("vision", settings(), maker, counts())
        answers = await ask_all(pool, range(16))
        assert reasons(answers) == [*good(range(3)), "out_of_memory", *good(range(4, 16))]
        assert maker.batches.count([3]) == 2
        assert maker.batches[-1] == [3]
        await pool.close()

    asyncio.run(run())


def test_a_question_that_lacked_memory_beside_others_gets_it_alone() -> None:
    async def run() -> None:
        maker = ScriptedMaker()

        def script(route: str, payloads: list[int]) -> list[str]:
            if 3 in payloads and maker.made[0].at_work > 1:
                msg = "CUDA"
                raise OutOfMemory(msg)
            return good(payloads)

        maker.script = script
        maker.gate.clear()
        pool = Pool("vision", settings(max_batch=1, max_wait_ms=0), maker, counts())
        asking = asyncio.create_task(ask_all(pool, [3, *range(10, 16)]))
        while not maker.made or maker.made[0].at_work < 2:
            await asyncio.sleep(0.001)
        maker.gate.set()
        assert await asking == good([3, *range(10, 16)])
        assert maker.batches.count([3]) == 2
        assert maker.together[-1] == 1 or maker.batches[-1] != [3]
        await pool.close()

    asyncio.run(run())


def test_a_question_cancelled_in_mid_flight_leaves_its_batch_well() -> None:
    async def run() -> None:
        maker = ScriptedMaker()
        maker.gate.clear()
        pool = Pool("vision", settings(max_batch=4), maker, counts())
        tasks = [asyncio.create_task(pool.ask("tags", p)) for p in range(8)]
        while not maker.batches:
            await asyncio.sleep(0.001)
        tasks[1].cancel()  # at work
        tasks[6].cancel()  # in the second batch, or waiting
        await asyncio.sleep(0)
        maker.gate.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [i for i, a in enumerate(answers) if isinstance(a, asyncio.CancelledError)] == [1, 6]
        assert [a for a in answers if isinstance(a, str)] == good([0, 2, 3, 4, 5, 7])
        assert await pool.ask("tags", 9) == "tags:9"
        assert pool.queued("tags") == 0
        await pool.close()

    asyncio.run(run())


def test_a_question_whose_owner_died_is_nobodys_fault() -> None:
    def returned(route: str, payloads: list[int]) -> list[Any]:
        return [OwnerDied("worker 3") if p == 2 else f"tags:{p}" for p in payloads]

    def raised(route: str, payloads: list[int]) -> list[str]:
        if 2 in payloads:
            msg = "worker 3"
            raise OwnerDied(msg)
        return good(payloads)

    async def run(script: Any) -> None:
        maker = ScriptedMaker(script)
        pool = Pool("vision", settings(), maker, counts())
        answers = await ask_all(pool, range(4))
        assert [a for a in answers if isinstance(a, str)] == good([0, 1, 3])
        assert isinstance(answers[2], OwnerDied)
        assert pool.status()["deaths"] == 0
        await pool.close()

    asyncio.run(run(returned))
    asyncio.run(run(raised))


def test_a_fault_of_the_model_is_no_row() -> None:
    def script(route: str, payloads: list[int]) -> list[str]:
        msg = "weights are gone"
        raise ModelUnavailable(msg)

    async def run() -> None:
        pool = Pool("vision", settings(), ScriptedMaker(script), counts())
        assert {type(a) for a in await ask_all(pool, range(5))} == {ModelUnavailable}
        await pool.close()

    asyncio.run(run())


def test_a_closed_pool_leaves_nobody_waiting() -> None:
    async def run() -> None:
        maker = ScriptedMaker()
        maker.gate.clear()
        pool = Pool("vision", settings(max_batch=2), maker, counts())
        asking = asyncio.create_task(ask_all(pool, range(9)))
        while not maker.batches:
            await asyncio.sleep(0.001)
        await pool.close()
        assert {type(answer) for answer in await asking} == {EnvironmentFault}
        with pytest.raises(EnvironmentFault, match="closed"):
            await pool.ask("tags", 1)
        assert maker.made[0].closed

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(30))
def test_whatever_breaks_nobody_gets_what_another_question_caused(seed: int) -> None:
    rng = random.Random(seed)
    many = rng.randrange(20, 100)
    faults = {Reason.CRASHED: rng.randrange(3), Reason.BACKEND_ERROR: rng.randrange(4)}
    faults[Reason.OUT_OF_MEMORY] = rng.randrange(4)
    guilty = rng.sample(range(many), sum(faults.values()))
    expected = dict(zip(guilty, (r for r, times in faults.items() for _ in range(times)), strict=True))
    fits, lost = rng.randrange(1, 9), rng.choice([0, 0, 0.02])

    def script(route: str, payloads: list[int]) -> list[str]:
        caused = {expected.get(p) for p in payloads}
        if rng.random() < lost:
            raise ReplicaDied(Cause.NODE_LOST)
        if Reason.CRASHED in caused:
            raise crash()
        if len(payloads) > fits or Reason.OUT_OF_MEMORY in caused:
            raise OutOfMemory(route)
        if Reason.BACKEND_ERROR in caused:
            raise RuntimeError(route)
        return [f"{route}:{p}" for p in payloads]

    async def run() -> list[Any]:
        maker = ScriptedMaker(script)
        sizes = settings(max_batch=rng.choice([1, 4, 16]), max_wait_ms=1, replicas=rng.randrange(1, 4))
        pool = Pool("vision", sizes, maker, counts("tags", "boxes"))

        async def ask(number: int) -> Any:
            await asyncio.sleep(rng.random() * 0.01)
            asking = asyncio.create_task(pool.ask(("tags", "boxes")[number % 2], number))
            if rng.random() < 0.05:
                await asyncio.sleep(rng.random() * 0.01)
                asking.cancel()
            return await asking

        answers = await asyncio.wait_for(
            asyncio.gather(*(ask(i) for i in range(many)), return_exceptions=True), timeout=60
        )
        assert pool.status()["queued"] == 0
        await pool.close()
        return answers

    for number, answer in enumerate(asyncio.run(run())):
        if isinstance(answer, SampleError):
            assert answer.reason is expected[number]
        elif not isinstance(answer, asyncio.CancelledError | StageStopped):
            assert answer == f"{('tags', 'boxes')[number % 2]}:{number}"
            assert number not in expected
