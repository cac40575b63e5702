"""A circuit breaker: what is away is not asked by everyone, only by one now and then."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from taskflow_core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

OPEN_SECONDS: Final = 1.0


class State(StrEnum):
    """Of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


def _nobody(state: State) -> None:
    """Tell nobody."""


class CircuitBreaker:
    """Stands before one dependency of one process.

    Closed, it lets every call through. The first that ends with `Unavailable` opens it. Open, it refuses at
    once, until `open_for` is over: then one call goes through as a probe and the others are still refused.
    The probe's success closes it, its failure opens it anew. What calls that began before it opened come to,
    changes nothing: thirty that time out together open it once, and for no longer than one would.

    Args:
        open_for: Seconds between one failure and the next probe.
        clock: Seconds that never go back.
        on_change: Told once when the dependency is given up (`OPEN`) and once when it is back (`CLOSED`); the
            probes between are not told. It must not raise.
    """

    def __init__(
        self,
        *,
        open_for: float = OPEN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[State], None] = _nobody,
    ) -> None:
        self._open_for = open_for
        self._clock = clock
        self._on_change = on_change
        # None while closed; else when the next probe may go.
        self._probe_at: float | None = None
        self._probing = False
        # Counts the failures that opened it, so that a call can tell whether it began before the last.
        self._era = 0

    @property
    def state(self) -> State:
        """What it would do with a call now: half open, it would send it as the probe or is sending one."""
        if self._probe_at is None:
            return State.CLOSED
        return State.HALF_OPEN if self._probing or self._clock() >= self._probe_at else State.OPEN

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what `work` returns.

        Raises:
            Unavailable: `work` raised it, or was not called because the circuit is open.
        """
        era = self._admit()
        try:
            result = await work()
        except Unavailable:
            self._failed(era)
            raise
        except BaseException:
            # Cancelled, or a fault that is not the dependency's: nothing was learned of it.
            self._abandoned(era)
            raise
        self._succeeded(era)
        return result

    def _admit(self) -> int:
        if self._probe_at is not None:
            if self._probing or self._clock() < self._probe_at:
                raise Unavailable
            self._probing = True
        return self._era

    def _failed(self, era: int) -> None:
        if era != self._era:
            return
        was_closed = self._probe_at is None
        self._probe_at = self._clock() + self._open_for
        self._probing = False
        self._era += 1
        if was_closed:
            self._on_change(State.OPEN)

    def _succeeded(self, era: int) -> None:
        if era != self._era or self._probe_at is None:
            return
        self._probe_at = None
        self._probing = False
        self._on_change(State.CLOSED)

    def _abandoned(self, era: int) -> None:
        if era == self._era:
            self._probing = False
