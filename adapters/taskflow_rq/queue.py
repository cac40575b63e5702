"""Carries hints to workers through RQ, which is told the name of what they call and imports nothing of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

from taskflow_core import Unavailable

if TYPE_CHECKING:
    from uuid import UUID

    from rq.queue import EnqueueData

P = ParamSpec("P")
R = TypeVar("R")

log: Final = structlog.get_logger("taskflow_rq")

GAP_SECONDS: Final = 0.05
"""At least so long between two pushes: each takes a millisecond of CPU that requests would wait for."""
PUSH: Final = 4
"""Hints of one push; workers that are woken go on until nothing is due, so that a few are enough."""
FULL: Final = 1000
"""With so many in the queue no more are pushed: nobody takes them."""
AWAY_SECONDS: Final = 1.0
"""How long hints are dropped after Redis failed, or while the queue is full."""
TTL_SECONDS: Final = 60
"""A hint that nobody took for so long is forgotten; the scheduler hints again."""
CONNECT_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 0.5
WAITING_SECONDS: Final = 1.0
"""How long `waiting` may take in all: looking up a host's name alone can take 20 s."""
CLOSE_SECONDS: Final = 1.0
"""How long `aclose` waits for what was hinted last."""


class RqQueue:
    """Hints as RQ jobs of one function, pushed by one task and one thread, a few at a time.

    While Redis is away, hints are dropped, and whoever gives one notices nothing.
    """

    def __init__(
        self, redis_url: str, *, name: str = "taskflow", handler: str = "taskflow_worker.handlers.run"
    ) -> None:
        """Connect to nothing yet.

        Args:
            redis_url: `redis://`, `rediss://` or `unix://`.
            name: The queue's.
            handler: The dotted name of what workers call with each hint.
        """
        self._handler = handler
        self._buffer: dict[UUID, None] = {}
        self._wake = asyncio.Event()
        self._pusher: asyncio.Task[None] | None = None
        self._closed = False
        self._is_away = False
        self._is_full = False
        self._client = Redis.from_url(
            redis_url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._queue = Queue(name, connection=self._client, serializer=JSONSerializer)
        # Not the loop's own threads: those end only when whatever they do has ended.
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="taskflow-rq")

    def hint(self, ids: Sequence[UUID]) -> None:
        if self._closed:
            return
        # What is more is dropped: whoever is woken by these finds it.
        self._buffer.update(dict.fromkeys(ids[: max(0, PUSH - len(self._buffer))]))
        if self._pusher is None:
            # Where no loop runs, they wait for the first hint that is given in one.
            with contextlib.suppress(RuntimeError):
                # In a context of its own, not in that of the request that happens to be the first.
                self._pusher = asyncio.get_running_loop().create_task(self._push_on(), context=Context())
        if self._buffer:
            self._wake.set()

    async def waiting(self) -> int:
        try:
            async with asyncio.timeout(WAITING_SECONDS):
                return await self._in_thread(self._length)
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            raise Unavailable("Redis cannot be reached now.") from error

    async def aclose(self) -> None:
        """Push what was hinted last, for `CLOSE_SECONDS` at most, and close the connections."""
        self._closed = True
        if self._pusher is not None:
            self._wake.set()
            await asyncio.wait([self._pusher], timeout=CLOSE_SECONDS)
            self._pusher.cancel()
        self._threads.submit(self._client.close)
        self._threads.shutdown(wait=False)

    async def _push_on(self) -> None:
        while not self._closed or self._buffer:
            await self._wake.wait()
            self._wake.clear()
            if self._buffer:
                pause = await self._push()
                if not self._closed:
                    await asyncio.sleep(pause)

    async def _push(self) -> float:
        """Push what was hinted; return for how many seconds not to push again."""
        ids, self._buffer = list(self._buffer), {}
        try:
            length = await self._in_thread(self._enqueue, ids)
        except (RedisError, OSError) as error:
            self._note(type(error).__name__)
            return AWAY_SECONDS
        except Exception:
            log.exception("hints could not be pushed")
            return AWAY_SECONDS
        self._note(None)
        self._is_full = length >= FULL
        return AWAY_SECONDS if self._is_full else GAP_SECONDS

    def _note(self, error: str | None) -> None:
        """Tell when Redis goes away and when it is back, once each."""
        if (error is not None) == self._is_away:
            return
        self._is_away = error is not None
        if error is not None:
            log.warning("hints are dropped, Redis is away", error=error)
        else:
            log.info("hints are pushed again")

    def _enqueue(self, ids: list[UUID]) -> int:
        """Enqueue them, unless the queue is still full; return how many wait in it."""
        if self._is_full and (length := self._length()) >= FULL:
            return length
        with self._client.pipeline(transaction=False) as pipeline:
            self._queue.enqueue_many([self._hint_of(entry_id) for entry_id in ids], pipeline=pipeline)
            # The last command puts the last one into the queue, and returns how many are there then.
            return int(pipeline.execute()[-1])

    def _hint_of(self, entry_id: UUID) -> EnqueueData:
        # Named for its entry: of two hints at the same, one is enough.
        name = str(entry_id)
        return Queue.prepare_data(
            self._handler, (name,), timeout=-1, result_ttl=0, ttl=TTL_SECONDS, failure_ttl=TTL_SECONDS,
            description="hint", job_id=name,
        )  # fmt: skip

    def _length(self) -> int:
        return self._queue.count

    async def _in_thread(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        work = partial(call, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
