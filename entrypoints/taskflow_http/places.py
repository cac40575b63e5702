"""Bulkheads: how much of a process one subject, and all expensive requests together, may use at once.

A rate limit counts requests over time. It does not bound how many of them run at the same moment, and each
may hold a database connection for as long as a statement may take. So a subject (a user, or an address where
nobody is signed in) has a few places. Further requests wait in a short line and are refused after that.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from taskflow_core import Overloaded
from taskflow_http.errors import TooManyConcurrent
from taskflow_http.limits import check_decision, subject_of_user

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from taskflow_core import TaskFlowError
    from taskflow_http.calls import Call
    from taskflow_http.operations import Operation, Services
    from taskflow_http.replies import Reply

WAIT: Final = 2.0
"""Seconds in a line; less than a request's deadline, so that the answer says why it was refused."""
LINE: Final = 32
"""How many requests of one subject may wait."""
BODY_FREE: Final = 16 * 1024
"""Bytes of a body that are taken however many bodies are under way."""


class Bulkhead:
    """At most `places` at a time under each key, first come, first served.

    Args:
        places: How many may run at a time under one key.
        line: How many more may wait under one key.
        refusal: What is raised where the line is full, or the wait was too long.
    """

    def __init__(self, places: int, line: int, refusal: Callable[[], TaskFlowError]) -> None:
        self._places, self._line, self._refusal = places, line, refusal
        self._running: Counter[str] = Counter()
        self._waiting: defaultdict[str, deque[asyncio.Future[None]]] = defaultdict(deque)

    @asynccontextmanager
    async def place(self, key: str) -> AsyncIterator[None]:
        """Hold a place for the duration of the block."""
        if self._running[key] < self._places:
            self._running[key] += 1
        else:
            await self._wait(key)
        try:
            yield
        finally:
            self._pass_on(key)

    async def _wait(self, key: str) -> None:
        line = self._waiting[key]
        if len(line) >= self._line:
            raise self._refusal()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            async with asyncio.timeout(WAIT):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # The place was passed on at the moment of the cancellation.
                self._pass_on(key)
            elif turn in line:
                line.remove(turn)
            if isinstance(error, TimeoutError):
                raise self._refusal() from None
            raise

    def _pass_on(self, key: str) -> None:
        line = self._waiting[key]
        while line:
            turn = line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[key]
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]


class Places:
    """The bulkheads of one process.

    Args:
        each: Requests of one subject at a time; half of them may be expensive ones. 0 lifts all bounds.
        expensive: Expensive requests of all subjects together.
    """

    def __init__(self, each: int, expensive: int) -> None:
        self._bounded = each > 0
        self._subjects = Bulkhead(each, LINE, TooManyConcurrent)
        self._expensive_of_one = Bulkhead(max(1, each // 2), LINE, TooManyConcurrent)
        self._expensive = Bulkhead(max(1, expensive), LINE, Overloaded)

    @asynccontextmanager
    async def of(self, call: Call, operation: Operation, services: Services) -> AsyncIterator[None]:
        """Hold the places that a request needs.

        Raises:
            TooManyConcurrent: Too many requests of the same subject are under way.
            Overloaded: Too many expensive requests are under way.
        """
        if not self._bounded or not (operation.secured or operation.limit):
            yield
            return
        subject = _subject(call, operation, services)
        async with AsyncExitStack() as held:
            await held.enter_async_context(self._subjects.place(subject))
            if operation.expensive is not None and operation.expensive(call):
                await held.enter_async_context(self._expensive_of_one.place(subject))
                await held.enter_async_context(self._expensive.place("expensive"))
            yield


class Bodies:
    """Counts the bytes of the bodies that a process holds, from their arrival to the end of their requests.

    A body up to `BODY_FREE` is always taken: there are no more of these than there are connections.

    Args:
        most: Bytes for all subjects together; a quarter of them for one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._total = 0
        self._held: Counter[str] = Counter()
        self._subjects: dict[Call, str] = {}

    def hold(self, call: Call, subject: str, size: int) -> None:
        """Count the bytes of a body that are there so far.

        Raises:
            TooManyConcurrent: The bodies of the subject hold too much.
            Overloaded: All bodies together hold too much.
        """
        if size <= BODY_FREE:
            return
        more = size - call.room
        if self._held[subject] + more > self._most // 4:
            raise TooManyConcurrent
        if self._total + more > self._most:
            raise Overloaded("Too many long requests are under way.")
        self._total += more
        self._held[subject] += more
        self._subjects[call] = subject
        call.room = size

    def release(self, call: Call) -> None:
        """Count the body of a request no more."""
        subject = self._subjects.pop(call, None)
        if subject is None:
            return
        self._total -= call.room
        self._held[subject] -= call.room
        if not self._held[subject]:
            del self._held[subject]
        call.room = 0


def _subject(call: Call, operation: Operation, services: Services) -> str:
    if operation.secured and call.actor.id is not None:
        return subject_of_user(call.actor.id)
    return services.addresses.subject_of(call)


async def count_again(call: Call, operation: Operation, services: Services) -> None:
    """Count a request of a signed-in user against the further limit of its route, if it has one.

    Raises:
        RateLimited: Too many of these.
        Unavailable: The store of the limits cannot be reached.
    """
    limit = services.limits.of(operation.limit) if operation.secured and operation.limit else None
    if limit is not None:
        taken = services.limits.rate_limits.take(limit, _subject(call, operation, services))
        call.decision = await taken
        check_decision(call.decision)


async def handle(call: Call, operation: Operation, services: Services) -> Reply:
    """Return what the handler of a request that was admitted answers, bounded by subject."""
    await count_again(call, operation, services)
    async with services.places.of(call, operation, services):
        return await operation.handler(call, services)
