"""Replicas of a pool that die, in a batch, while loading, or with their machine."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tasks.records.errors import (
    ModelUnavailable,
    OutOfMemory,
    StageStopped,
)
from tasks.roles.batching import Pool
from tasks.roles.replicas import Cause, ReplicaDied
from tests.tasks.roles.scripted_replicas import ScriptedMaker, ask_all, counts, crash, good, reasons, settings


def test_a_question_that_kills_is_one_row_and_its_neighbors_keep_their_answers() -> None:
    def script(route: str, payloads: list[int]) -> list[str]:
        if 5 in payloads:
            raise crash()
        return good(payloads)

    async def run() -> None:
        maker = ScriptedMaker(script)
        numbers = counts()
        pool = Pool("vision", settings(max_batch=8), maker, numbers)
        answers = await ask_all(pool, range(16))
        assert reasons(answers) == [*good(range(5)), "crashed", *good(range(6, 16))]
        assert maker.batches.count([5]) == 2
        assert pool.status()["deaths"] == 3
        assert pool.status()["restarts"] == 3
        assert numbers["tags"].deaths >= 3
        await pool.close()

    asyncio.run(run())


def test_a_replica_killed_once_in_mid_batch_loses_and_doubles_nothing() -> None:
    async def run() -> None:
        maker = ScriptedMaker()
        given: Counter[int] = Counter()

        def script(route: str, payloads: list[int]) -> list[str]:
            if len(maker.batches) == 2:
                raise crash("signal 9")
            given.update(payloads)
            return good(payloads)

        maker.script = script
        pool = Pool("vision", settings(max_batch=4), maker, counts())
        assert await ask_all(pool, range(40)) == good(range(40))
        assert given == Counter(range(40))
        assert len(maker.made) == 2
        await pool.close()

    asyncio.run(run())


@pytest.mark.parametrize("cause", [Cause.NODE_LOST, Cause.OUT_OF_MEMORY_KILLED])
def test_nobody_is_blamed_for_a_lost_machine(cause: Cause) -> None:
    async def run() -> None:
        maker = ScriptedMaker()

        def script(route: str, payloads: list[int]) -> list[str]:
            if len(maker.made) < 3:
                raise ReplicaDied(cause)
            return good(payloads)

        maker.script = script
        pool = Pool("vision", settings(), maker, counts())
        assert await ask_all(pool, range(6)) == good(range(6))
        assert [len(batch) for batch in maker.batches] == [6, 6, 6]  # together again, not one by one
        await pool.close()

    asyncio.run(run())


def test_a_lost_machine_with_all_its_replicas_is_one_event() -> None:
    async def run() -> None:
        maker = ScriptedMaker()
        maker.gate.clear()
        pool = Pool("vision", settings(max_batch=2, replicas=6), maker, counts())
        await pool.ready()
        asking = asyncio.create_task(ask_all(pool, range(24)))
        while sum(replica.at_work for replica in maker.made) < 12:
            await asyncio.sleep(0.001)
        for replica in maker.made:
            replica.die(ReplicaDied(Cause.NODE_LOST))
        maker.gate.set()
        assert await asking == good(range(24))
        assert pool.status()["deaths"] == 6
        assert len(maker.made) == 12
        await pool.close()

    asyncio.run(run())


def test_a_machine_that_fails_with_many_replicas_is_given_up_after_three_rounds() -> None:
    def script(route: str, payloads: list[int]) -> list[str]:
        raise crash()

    async def run() -> None:
        maker = ScriptedMaker(script)
        pool = Pool("vision", settings(max_batch=2, replicas=4), maker, counts())
        await pool.ready()
        assert {type(answer) for answer in await ask_all(pool, range(40))} == {StageStopped}
        assert len(maker.made) <= 16
        await pool.close()

    asyncio.run(run())


def test_three_deaths_with_no_answer_between_stop_the_pool() -> None:
    def script(route: str, payloads: list[int]) -> list[str]:
        raise crash("no kernel image is available")

    async def run() -> None:
        maker = ScriptedMaker(script)
        pool = Pool("vision", settings(max_batch=2), maker, counts())
        answers = await ask_all(pool, range(10))
        assert {type(answer) for answer in answers} == {StageStopped}
        assert "no kernel image" in str(answers[0])
        assert len(maker.made) == 3
        with pytest.raises(StageStopped):
            await pool.ask("tags", 99)
        await pool.close()

    asyncio.run(run())


def test_deaths_with_answers_between_do_not_stop_the_pool() -> None:
    def script(route: str, payloads: list[int]) -> list[str]:
        if payloads[0] % 10 == 7:
            raise crash()
        return good(payloads)

    async def run() -> None:
        maker = ScriptedMaker(script)
        pool = Pool("vision", settings(max_batch=1), maker, counts())
        answers = reasons(await ask_all(pool, range(60)))
        assert [i for i, answer in enumerate(answers) if answer == "crashed"] == [7, 17, 27, 37, 47, 57]
        assert sum(answer.startswith("tags:") for answer in answers) == 54
        await pool.close()

    asyncio.run(run())


@pytest.mark.parametrize("killers", [{0, 1}, {3, 4}, {14, 15}, {2, 3, 4, 5}])
@pytest.mark.parametrize("max_batch", [4, 16])
def test_questions_that_kill_side_by_side_are_told_from_a_machine_that_fails(
    killers: set[int], max_batch: int
) -> None:
    def script(route: str, payloads: list[int]) -> list[str]:
        if killers & set(payloads):
            raise crash()
        return good(payloads)

    async def run() -> None:
        maker = ScriptedMaker(script)
        pool = Pool("vision", settings(max_batch=max_batch), maker, counts())
        answers = reasons(await ask_all(pool, range(16)))
        assert {i for i, answer in enumerate(answers) if answer == "crashed"} == killers
        assert sum(answer.startswith("tags:") for answer in answers) == 16 - len(killers)
        await pool.close()

    asyncio.run(run())


def test_a_replica_that_dies_while_loading_is_made_again() -> None:
    async def run() -> None:
        maker = ScriptedMaker()
        maker.fail_loading = [ReplicaDied(Cause.LOADING), ReplicaDied(Cause.LOADING)]
        pool = Pool("vision", settings(), maker, counts())
        assert await ask_all(pool, range(3)) == good(range(3))
        await pool.close()

        maker.fail_loading = [ReplicaDied(Cause.LOADING, "no such file") for _ in range(3)]
        pool = Pool("vision", settings(), maker, counts())
        with pytest.raises(StageStopped, match="no such file"):
            await pool.ready()
        await pool.close()

    asyncio.run(run())


def test_a_replica_that_is_not_ready_in_time_is_a_fault_and_no_row() -> None:
    async def never(pool: str) -> Any:
        await asyncio.sleep(3600)

    async def run() -> None:
        pool = Pool("vision", settings(ready_s=0.02), never, counts())
        answers = await ask_all(pool, range(3))
        assert {type(answer) for answer in answers} == {ModelUnavailable}
        assert "pools.vision" in str(answers[0])
        await pool.close()

    asyncio.run(run())


def test_one_replica_that_cannot_be_made_leaves_the_work_to_the_others() -> None:
    async def run() -> None:
        maker = ScriptedMaker()
        pool = Pool("vision", settings(replicas=2), maker, counts())
        await pool.ready()
        maker.fail_loading = [OutOfMemory("no room")]
        maker.script = lambda route, payloads: (_ for _ in ()).throw(ReplicaDied(Cause.NODE_LOST))
        asking = asyncio.create_task(ask_all(pool, range(4)))
        while pool.status()["deaths"] < 1:
            await asyncio.sleep(0)
        maker.script = lambda route, payloads: good(payloads)
        assert await asking == good(range(4))
        await pool.close()

    asyncio.run(run())
