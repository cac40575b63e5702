"""More connections than there may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from taskflow_http.connections import Bounds

MOST = 640


@dataclass(eq=False)
class Idle:
    """A connection that waits for its client."""

    waiting_since: float
    looked_at: int = 0
    aborted: list[str] = field(default_factory=list)
    unread: int = 0

    @property
    def waits_for_client(self) -> bool:
        self.looked_at += 1
        return not self.aborted

    def abort(self, reason: str) -> None:
        self.aborted.append(reason)

    def run_next(self) -> None:
        raise AssertionError


def test_a_crowd_is_looked_at_once_for_many_new_connections() -> None:
    bounds = Bounds(MOST, 1000)
    open_ = [Idle(float(number)) for number in range(MOST)]

    def others() -> Iterator[Idle]:
        yield from list(open_)

    def admit_more(number: int) -> None:
        for _ in range(number):
            open_.append(Idle(1000.0))
            assert bounds.admit((each for each in others() if each is not open_[-1]), len(open_))

    admit_more(10)
    # The ten that have waited the longest make room for ten, though none of them is gone yet.
    assert [each.waiting_since for each in open_ if each.aborted] == [float(number) for number in range(10)]
    assert open_[100].looked_at == 1
    admit_more(10)
    assert sum(bool(each.aborted) for each in open_) == 20
    for each in [each for each in open_ if each.aborted]:
        bounds.leave(each)
        open_.remove(each)
    assert len(open_) == MOST
    admit_more(1)
    assert sum(bool(each.aborted) for each in open_) == 10
    assert open_[100].looked_at == 3
