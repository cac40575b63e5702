"""Identifiers that sort by the time they were made."""

from __future__ import annotations

import os
import secrets
import threading
from typing import TYPE_CHECKING, Final
from uuid import UUID

if TYPE_CHECKING:
    from datetime import datetime

_COUNTER_BITS: Final = 42
_SEED_BITS: Final = 41
_RANDOM_BITS: Final = 32

_lock: Final = threading.Lock()
# A child forked while another thread makes an id would wait for a thread that it does not have.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class Uuid7:
    """Makes UUIDv7 (port `Ids`): RFC 9562 section 5.7, monotonic by section 6.2 method 1.

    48 bits of milliseconds, a 42-bit counter that starts anew at a random number below half of
    its range each millisecond (the version and variant bits lie within it), and 32 random bits.
    """

    def __init__(self) -> None:
        self._last_ms = -1
        self._counter = 0

    def __call__(self, now: datetime) -> UUID:
        """Return an id of `now` that is greater than all before it in this process."""
        ms, counter = self._tick(round(now.timestamp() * 1000))
        high, low = counter >> 30, counter & 0x3FFF_FFFF
        value = ms << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low << 32 | secrets.randbits(_RANDOM_BITS)
        return UUID(int=value)

    def _tick(self, ms: int) -> tuple[int, int]:
        with _lock:
            if ms > self._last_ms:
                self._last_ms, self._counter = ms, secrets.randbits(_SEED_BITS)
            else:
                # The clock stood or went back: stay at the latest time seen and count on.
                self._counter += 1
                if self._counter >> _COUNTER_BITS:
                    self._last_ms, self._counter = self._last_ms + 1, secrets.randbits(_SEED_BITS)
            return self._last_ms, self._counter
