"""Requests that a client sends before it has its last answer: a few begin in each turn of the loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from taskflow_http.connections import PIPELINED_MAX, Bounds


@dataclass(eq=False)
class Pipelining:
    """A connection with requests left."""

    bounds: Bounds
    requests: int = 1
    begun: list[int] = field(default_factory=list)
    waits_for_client: bool = True
    waiting_since: float = 0.0
    unread: int = 0

    def abort(self, reason: str) -> None:
        raise AssertionError(reason)

    def run_next(self) -> None:
        self.requests -= 1
        self.begun.append(1)
        if self.requests:
            self.bounds.line_up(self)


async def test_a_few_begin_in_each_turn_and_all_get_theirs() -> None:
    bounds = Bounds(1000, 1000)
    crowd = [Pipelining(bounds, requests=2) for _ in range(PIPELINED_MAX * 3)]
    for each in crowd:
        bounds.line_up(each)
        bounds.line_up(each)

    before = 0
    for _ in range(6):
        await asyncio.sleep(0)
        begun = sum(len(each.begun) for each in crowd)
        assert begun - before == PIPELINED_MAX
        before = begun
    # Nobody has a second one before everybody has had the first.
    assert all(each.begun == [1, 1] for each in crowd)
    await asyncio.sleep(0)
    assert not bounds._line
    assert bounds._turn is None


async def test_who_has_left_begins_nothing() -> None:
    bounds = Bounds(1000, 1000)
    gone, stays = Pipelining(bounds), Pipelining(bounds)
    bounds.line_up(gone)
    bounds.line_up(stays)
    bounds.leave(gone)
    await asyncio.sleep(0)
    assert (gone.requests, stays.requests) == (1, 0)
