"""Commands of one tick of the event loop in one pipeline: redis-py makes none by itself."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from redis.exceptions import NoScriptError, RedisError

from taskflow_redis.client import ANSWER_SECONDS
from taskflow_redis.errors import translate

if TYPE_CHECKING:
    from redis.asyncio import Redis

Argument: TypeAlias = bytes | str | int
UNDER_WAY_MAX: Final = 2
"""Pipelines at a time. While they are under way, what arrives gathers for the next: the busier, the fewer."""


@dataclass(frozen=True)
class Script:
    """A Lua script that the server keeps under its hash until it is restarted."""

    text: str

    @cached_property
    def sha(self) -> str:
        """The name under which the server knows it."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class _Waiting:
    command: tuple[bytes, ...]
    # What is sent in place of the command where the server does not know its script.
    whole: tuple[bytes, ...] | None
    future: asyncio.Future[Any]


class Batches:
    """Sends commands to one Redis, those of a tick together; each caller gets its own answer or error.

    A caller that is cancelled takes nothing from the others: its command is still sent.

    Args:
        client: As `open_client` makes it.
        deadline: Seconds from a call to its answer, whatever holds it up. Commands that are sent together
            share that of the first.
    """

    def __init__(self, client: Redis, *, deadline: float = ANSWER_SECONDS) -> None:
        self._client = client
        self._deadline = deadline
        self._gathered: list[_Waiting] = []
        self._ends = 0.0
        self._scheduled = False
        self._under_way: set[asyncio.Task[None]] = set()

    async def execute(self, *command: Argument) -> Any:
        """Return the answer to a command.

        Raises:
            Unavailable: Redis cannot be reached, does not answer in time, or refuses the command.
        """
        return await self._gather(command, None)

    async def run(self, script: Script, keys: tuple[Argument, ...], *arguments: Argument) -> Any:
        """Return what a script returns; a server that does not know it yet is sent it.

        Raises:
            Unavailable: As above, or the script failed.
        """
        rest = (len(keys), *keys, *arguments)
        return await self._gather(("EVALSHA", script.sha, *rest), ("EVAL", script.text, *rest))

    async def aclose(self) -> None:
        """End what is under way; who waits is told that Redis is not there. The client stays open."""
        _fail(self._gathered, ConnectionError())
        self._gathered = []
        for task in (under_way := list(self._under_way)):
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    def _gather(
        self, command: tuple[Argument, ...], whole: tuple[Argument, ...] | None
    ) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        # Encoded here, so that what cannot be sent is the fault of this caller alone.
        waiting = _Waiting(_encoded(command), None if whole is None else _encoded(whole), future)
        if not self._gathered:
            self._ends = loop.time() + self._deadline
        self._gathered.append(waiting)
        self._schedule()
        return future

    def _schedule(self) -> None:
        if not self._scheduled and self._gathered and len(self._under_way) < UNDER_WAY_MAX:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._scheduled = False
        gathered, self._gathered = self._gathered, []
        if not gathered:  # closed meanwhile
            return
        task = asyncio.get_running_loop().create_task(self._exchange(gathered, self._ends))
        self._under_way.add(task)
        task.add_done_callback(partial(self._done, gathered))

    def _done(self, gathered: list[_Waiting], task: asyncio.Task[None]) -> None:
        # Nothing waits by now, unless it was cancelled before its first step.
        _fail(gathered, ConnectionError())
        self._under_way.discard(task)
        self._schedule()

    async def _exchange(self, gathered: list[_Waiting], ends: float) -> None:
        try:
            async with asyncio.timeout_at(ends):
                await self._ask(gathered)
        except (RedisError, OSError, TimeoutError) as error:
            _fail(gathered, error)
        except BaseException as error:
            _fail(gathered, error if isinstance(error, Exception) else ConnectionError())
            raise

    async def _ask(self, gathered: list[_Waiting]) -> None:
        answers = await self._pipeline([waiting.command for waiting in gathered])
        unknown: list[tuple[_Waiting, tuple[bytes, ...]]] = []
        for waiting, answer in zip(gathered, answers, strict=True):
            if isinstance(answer, NoScriptError) and waiting.whole is not None:
                unknown.append((waiting, waiting.whole))
            else:
                _settle(waiting.future, answer)
        if unknown:
            answers = await self._pipeline([whole for _, whole in unknown])
            for (waiting, _), answer in zip(unknown, answers, strict=True):
                _settle(waiting.future, answer)

    async def _pipeline(self, commands: list[tuple[bytes, ...]]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
            return answers


def _encoded(command: tuple[Argument, ...]) -> tuple[bytes, ...]:
    return tuple(each if isinstance(each, bytes) else str(each).encode() for each in command)


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if future.done():  # its caller was cancelled
        return
    if isinstance(answer, Exception):
        error = translate(answer)
        error.__cause__ = answer
        future.set_exception(error)
    else:
        future.set_result(answer)


def _fail(gathered: list[_Waiting], error: Exception) -> None:
    for waiting in gathered:
        _settle(waiting.future, error)
