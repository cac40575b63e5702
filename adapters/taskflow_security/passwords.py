"""Passwords by bcrypt, in threads of their own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import bcrypt

from taskflow_core.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

_NO_DIGEST: Final = b"." * 31
"""Stands behind a salt where a digest would: bcrypt does its work and then finds them different."""

_HASH: Final = re.compile(r"\$2b\$(\d\d)\$[./A-Za-z0-9]{53}", re.ASCII)


class BcryptPasswords:
    """Hashes by bcrypt (port `PasswordHasher`).

    bcrypt looks at 72 bytes and stops at a NUL, so it is given the base64 of the password's SHA-256.
    It lets go of the interpreter's lock while it works; a queue that is full answers at once instead
    of letting sign-ins wait for longer than they would be waited for.

    Log-ins have a line of their own. New passwords, and what somebody who is signed in proves, wait in
    another, which never has all threads where there are two or more: they cannot keep others from signing in.

    Args:
        cost: Logarithm of the rounds; 12 takes some 200 ms.
        threads: How many passwords are hashed at a time.
        queue: How many more may wait, in each line.
    """

    def __init__(self, *, cost: int = 12, threads: int = 2, queue: int = 32) -> None:
        self._cost = cost
        self._nobody = (bcrypt.gensalt(cost) + _NO_DIGEST).decode()
        self._size, self._queue = threads, queue
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        turns = threading.Semaphore(self._size)
        self._log_ins = _Line(self._size, self._size + self._queue, turns)
        others = max(1, self._size - 1)
        self._others = _Line(others, others + self._queue, turns)

    def _line(self, *, of_log_ins: bool) -> _Line:
        if self._process != os.getpid():
            # A forked child (gunicorn --preload, Celery) has none of its parent's threads.
            self._begin()
        return self._log_ins if of_log_ins else self._others

    async def hash(self, password: str) -> str:
        """Return a salted hash."""
        return await self._line(of_log_ins=False).run(_hash, password, self._cost)

    async def verify(self, password: str, hashed: str | None, *, signed_in: bool = False) -> bool:
        """Return whether `hashed` was made of `password`; the work is the same where there is none."""
        line = self._line(of_log_ins=not signed_in)
        matches = await line.run(_matches, password, hashed or self._nobody)
        return matches and hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Return whether `hashed` has another cost, or is no hash of ours at all."""
        found = _HASH.fullmatch(hashed)
        return found is None or int(found[1]) != self._cost

    def close(self) -> None:
        """Take nothing more; what waits is still done, unless nobody waits for it any more."""
        self._log_ins.close()
        self._others.close()


class _Line:
    """Threads that hash, and how many may wait for them.

    Args:
        threads: How many work at a time.
        places: How many may work or wait.
        turns: Bounds how many threads of all lines work at a time.
    """

    def __init__(self, threads: int, places: int, turns: threading.Semaphore) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="taskflow-passwords")
        self._places = threading.BoundedSemaphore(places)
        self._turns = turns

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        if not self._places.acquire(blocking=False):
            raise Overloaded
        try:
            future = self._threads.submit(self._in_turn, partial(work, *args, **kwargs))
        except BaseException:
            self._places.release()
            raise
        # The place is taken for as long as the work is there, not for as long as somebody waits for it.
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)

    def _in_turn(self, work: Callable[[], R]) -> R:
        with self._turns:
            return work()


def _digest(password: str) -> bytes:
    return base64.b64encode(hashlib.sha256(password.encode("utf-8", "surrogatepass")).digest())


def _hash(password: str, cost: int) -> str:
    return bcrypt.hashpw(_digest(password), bcrypt.gensalt(cost)).decode()


def _matches(password: str, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(_digest(password), hashed.encode("utf-8", "surrogatepass"))
    except ValueError:
        return False
