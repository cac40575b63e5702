"""Descriptors that a forked child of this process must not keep.

The lock of a data directory and the lifeline of a server say "this process lives". A child made by os.fork
(multiprocessing does so) inherits both, and would go on saying it after this process was killed. Children
made by exec never see them: Python opens descriptors close-on-exec.
"""

from __future__ import annotations

import os

_held: set[int] = set()


def hold(descriptor: int) -> int:
    """Remember `descriptor`, so that a forked child closes its copy; return it."""
    _held.add(descriptor)
    return descriptor


def holds(descriptor: int) -> bool:
    """Whether `descriptor` is remembered: not yet closed, and not in a forked child."""
    return descriptor in _held


def close(descriptor: int) -> None:
    """Close `descriptor` and forget it; a forked child, which no longer has it, does nothing."""
    if descriptor in _held:
        _held.discard(descriptor)
        os.close(descriptor)


def _close_all() -> None:
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_close_all)
