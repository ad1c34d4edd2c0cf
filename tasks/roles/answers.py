"""Answers that were given once are kept and used again: nothing that is stored is asked for a second time.

One object per answer, below a folder per photograph, so that one listing tells what is there (`KeptAnswers`). Answers
are stored first and used as stored; whoever loses the race for a name uses what the winner stored.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import ParamSpec, Self, TypeVar

from tasks.records.errors import (
    AnswerMissing,
    DataFault,
    MissingAnswer,
    StorageFault,
)
from tasks.roles.chat import ChatReply
from tasks.roles.kept_answer import KeptAnswer, NoAnswer, answer_file, opened
from tasks.roles.questions import Answer
from tasks.storage.objects.store import Store
from tasks.storage.protocol.answer_files import (
    KEY_DIGITS,
    AnswerName,
    Kind,
    answer_bytes,
    answer_from,
    answer_name,
)
from tasks.storage.protocol.layout import answers_folder

LISTINGS = 4096
"""Photographs whose listings are remembered; about 3 KB each."""

THREADS = 32
"""Requests to the store at the same time."""

FRESH_S = 60.0
"""Age of a listing, seconds, up to which what it does not name is not looked for again."""

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class _Listing:
    """What is stored about a photograph: when it was looked up, and (role, key24) -> rounds, ascending."""

    at: float
    rounds: dict[tuple[str, str], tuple[int, ...]]


class KeptAnswers:
    """The answers of a dataset, for one build; used from one event loop.

    In an ordinary build only answers and rejections are found. A question that failed, or whose reply could not be
    read, is asked again under the next *round*, but once per build: what this object stored it finds again, whatever
    its kind. A build that retries failed samples does the same, so it keeps their good answers.

    Args:
        store: of the dataset.
        replay: find every kind, newest round first, and raise `AnswerMissing` where nothing is stored.
        origin: another dataset whose answers are found too, and copied into ``store`` when they are; only for a replay.
        fresh_s: age up to which a listing is believed about what is missing, seconds.
    """

    def __init__(
        self, store: Store, *, replay: bool = False, origin: Store | None = None, fresh_s: float = FRESH_S
    ) -> None:
        if origin is not None and not replay:
            msg = "answers of another dataset are for a replay alone"
            raise ValueError(msg)
        self._store = store
        self._replay = replay
        self._origin = origin
        self._fresh_s = fresh_s
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="kept-answers")
        self._listings: OrderedDict[str, Future[_Listing]] = OrderedDict()
        self._asked_here: set[AnswerName] = set()
        self._puts: set[asyncio.Task[KeptAnswer]] = set()

    async def find(self, sid: str, role: str, key: str, *, subject: str = "") -> KeptAnswer | None:
        """The stored answer to use, or None when the question is to be asked.

        Args:
            sid: photograph that the question is about.
            role: who is asked.
            key: of the answer (`tasks.roles.answer_keys`).
            subject: sample that the question is about, for messages.

        Raises:
            AnswerMissing: in a replay, when nothing is stored.
            DataFault: what is stored is damaged; naming its path.
            StorageFault: the store cannot be read.
        """
        kept = await self._usable(sid, role, key, again=True)
        if kept is not None:
            return kept
        if self._replay:
            raise AnswerMissing([MissingAnswer(role, subject or sid, key)])
        return None

    async def put(
        self,
        sid: str,
        role: str,
        key: str,
        given: Answer | NoAnswer,
        *,
        run: str = "",
        reply: ChatReply | None = None,
    ) -> KeptAnswer:
        """Store what became of a question, in the round after the last one stored.

        Args:
            sid: photograph that the question is about.
            role: who was asked.
            key: of the answer.
            given: the answer, or why there is none.
            run: name of the pool or server that answered.
            reply: the server's whole reply.

        Returns:
            What is stored there now: ``given``, or what somebody else stored first. Only this may be used.

        Raises:
            ValueError: the answer holds what cannot be stored (NaN, an image of another type).
            StorageFault: the store refused.
            DataFault: what somebody else stored is damaged.
        """
        if self._replay:
            msg = "a replay stores no answers"
            raise RuntimeError(msg)
        # Whoever waits may be cancelled; what was answered is stored all the same and known to be there.
        task = asyncio.ensure_future(self._put(sid, role, key, given, run, reply))
        self._puts.add(task)
        task.add_done_callback(self._puts.discard)
        return await asyncio.shield(task)

    def close(self) -> None:
        """End the threads; waits for requests that are on their way."""
        self._threads.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _usable(self, sid: str, role: str, key: str, *, again: bool) -> KeptAnswer | None:
        listing = await self._listing(sid)
        for round_ in reversed(listing.rounds.get((role, key[:KEY_DIGITS]), ())):
            name = AnswerName(sid=sid, role=role, key24=key[:KEY_DIGITS], round=round_)
            kept = await self._call(self._read, name, key)
            if kept is None:
                continue  # set aside meanwhile
            if kept.final or self._replay or name in self._asked_here:
                return kept
        if again and monotonic() - listing.at > self._fresh_s:
            # Asking costs far more than looking: another build may have stored the answer since.
            self._listings.pop(sid, None)
            return await self._usable(sid, role, key, again=False)
        return None

    async def _put(
        self, sid: str, role: str, key: str, given: Answer | NoAnswer, run: str, reply: ChatReply | None
    ) -> KeptAnswer:
        kept = await self._usable(sid, role, key, again=False)
        failed = isinstance(given, NoAnswer) and given.kind is Kind.FAILED
        if kept is not None and (kept.final or failed):
            # Another build was first, and the listing was read again since `find`; or this very build has the reply
            # that led to the failure.
            return kept
        listing, place = await self._listing(sid), (role, key[:KEY_DIGITS])
        round_ = max(listing.rounds.get(place, (-1,))) + 1
        kept = await self._call(self._store_first, sid, role, key, round_, given, run, reply)
        # Not the listing from before: another question may have had it read again while this one was stored.
        rounds = (await self._listing(sid)).rounds
        rounds[place] = tuple(sorted({*rounds.get(place, ()), round_}))
        if not kept.final:
            self._asked_here.add(kept.file.name)
        return kept

    async def _listing(self, sid: str) -> _Listing:
        future = self._listings.get(sid)
        if future is None:
            future = self._listings[sid] = self._threads.submit(self._list, answers_folder(sid))
            if len(self._listings) > LISTINGS:
                self._listings.popitem(last=False)
        self._listings.move_to_end(sid)
        try:
            # Several questions wait for one listing: none may cancel it for the others.
            return await asyncio.shield(asyncio.wrap_future(future))
        except Exception:
            if self._listings.get(sid) is future:
                del self._listings[sid]
            raise

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.wrap_future(self._threads.submit(function, *args, **kwargs))

    def _list(self, folder: str) -> _Listing:
        at = monotonic()
        rounds: dict[tuple[str, str], set[int]] = defaultdict(set)
        for store in (self._store, *([self._origin] if self._origin else [])):
            for item in store.list(folder):
                name = answer_name(item.path)
                if name is not None:
                    rounds[name.role, name.key24].add(name.round)
        return _Listing(at=at, rounds={place: tuple(sorted(found)) for place, found in rounds.items()})

    def _read(self, name: AnswerName, key: str) -> KeptAnswer | None:
        path = name.path
        data = self._store.find(path)
        copied = data is None and self._origin is not None
        if copied and self._origin is not None:
            data = self._origin.find(path)
        if data is None:
            return None
        file = answer_from(data, path)
        if file.key != key:
            msg = f"{path}: holds the answer to another question (key {file.key})"
            raise DataFault(msg)
        kept = opened(file)
        if copied:
            self._store.put_if_absent(path, data)
        return kept

    def _store_first(
        self,
        sid: str,
        role: str,
        key: str,
        round_: int,
        given: Answer | NoAnswer,
        run: str,
        reply: ChatReply | None,
    ) -> KeptAnswer:
        file = answer_file(sid, role, key, round_, given, run, reply)
        data, path = answer_bytes(file), file.path
        if self._store.put_if_absent(path, data):
            # As it will be read: an answer given as another number type may not lead elsewhere than the stored one.
            return opened(answer_from(data, path))
        kept = self._read(file.name, file.key)
        if kept is None:
            msg = f"{path}: refused as existing, but nothing is there"
            raise StorageFault(msg)
        return kept
