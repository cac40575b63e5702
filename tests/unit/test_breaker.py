"""The circuit breaker, by a clock that the tests move."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from taskflow_core import Limit, NotFound, Rate, Unavailable
from taskflow_core.rate_limits import Decision
from taskflow_resilience import CircuitBreaker, FallbackRateLimits, ProcessRateLimits, State


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Dependency:
    """Answers, fails, or waits to be told which."""

    def __init__(self) -> None:
        self.fails = False
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        if self.fails:
            raise Unavailable
        return "answer"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes() -> list[State]:
    return []


@pytest.fixture
def breaker(clock: Clock, changes: list[State]) -> CircuitBreaker:
    return CircuitBreaker(open_for=2.0, clock=clock, on_change=changes.append)


async def refused(breaker: CircuitBreaker, work: Callable[[], AsyncIterator[str]] | Dependency) -> None:
    with pytest.raises(Unavailable):
        await breaker.call(work)  # type: ignore[arg-type]


async def opened(breaker: CircuitBreaker) -> Dependency:
    dependency = Dependency()
    dependency.fails = True
    await refused(breaker, dependency)
    return dependency


class Held:
    """A call that is under way until it is let go."""

    def __init__(self, breaker: CircuitBreaker, ends: BaseException | None = None) -> None:
        self.let_go = asyncio.Event()
        self.asked = 0
        self._ends = ends
        self.task = asyncio.create_task(breaker.call(self._work))

    async def _work(self) -> str:
        self.asked += 1
        await self.let_go.wait()
        if self._ends is not None:
            raise self._ends
        return "answer"

    async def begun(self) -> "Held":
        await asyncio.sleep(0)
        assert self.asked == 1
        return self

    async def ended(self) -> str | BaseException:
        self.let_go.set()
        (result,) = await asyncio.gather(self.task, return_exceptions=True)
        return result


async def test_closed_it_lets_calls_through(breaker: CircuitBreaker, changes: list[State]) -> None:
    dependency = Dependency()
    assert [await breaker.call(dependency) for _ in range(3)] == ["answer"] * 3
    assert (breaker.state, changes) == (State.CLOSED, [])


async def test_the_first_failure_opens_it(breaker: CircuitBreaker, changes: list[State]) -> None:
    dependency = await opened(breaker)
    assert (breaker.state, changes) == (State.OPEN, [State.OPEN])
    dependency.fails = False
    for _ in range(10):
        await refused(breaker, dependency)
    assert dependency.asked == 1


async def test_a_fault_that_is_not_the_dependencys_leaves_it_closed(breaker: CircuitBreaker) -> None:
    async def not_found() -> str:
        raise NotFound

    with pytest.raises(NotFound):
        await breaker.call(not_found)
    assert breaker.state is State.CLOSED


async def test_it_stays_open_for_its_time(breaker: CircuitBreaker, clock: Clock) -> None:
    dependency = await opened(breaker)
    clock.now += 1.999
    await refused(breaker, dependency)
    assert (breaker.state, dependency.asked) == (State.OPEN, 1)
    clock.now += 0.001
    assert breaker.state is State.HALF_OPEN


async def test_a_probe_that_succeeds_closes_it(
    breaker: CircuitBreaker, clock: Clock, changes: list[State]
) -> None:
    dependency = await opened(breaker)
    dependency.fails = False
    clock.now += 2
    assert await breaker.call(dependency) == "answer"
    assert (breaker.state, changes) == (State.CLOSED, [State.OPEN, State.CLOSED])


async def test_a_probe_that_fails_opens_it_for_as_long_again_and_tells_nobody(
    breaker: CircuitBreaker, clock: Clock, changes: list[State]
) -> None:
    dependency = await opened(breaker)
    for probes in range(2, 6):
        clock.now += 2
        await refused(breaker, dependency)
        clock.now += 1.999
        await refused(breaker, dependency)
        assert (dependency.asked, breaker.state) == (probes, State.OPEN)
        clock.now -= 1.999
    assert changes == [State.OPEN]


async def test_while_a_probe_is_under_way_the_others_are_refused(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    await opened(breaker)
    clock.now += 2
    probe = await Held(breaker).begun()
    others = Dependency()
    clock.now += 100
    for _ in range(10):
        await refused(breaker, others)
    assert (others.asked, breaker.state) == (0, State.HALF_OPEN)
    assert await probe.ended() == "answer"
    assert await breaker.call(others) == "answer"


@pytest.mark.parametrize("how", ["cancelled", "another fault"])
async def test_a_probe_that_learns_nothing_leaves_room_for_the_next(
    breaker: CircuitBreaker, clock: Clock, changes: list[State], how: str
) -> None:
    await opened(breaker)
    clock.now += 2
    probe = await Held(breaker, NotFound()).begun()
    if how == "cancelled":
        probe.task.cancel()
    assert isinstance(await probe.ended(), NotFound | asyncio.CancelledError)
    assert (breaker.state, changes) == (State.HALF_OPEN, [State.OPEN])
    assert await breaker.call(Dependency()) == "answer"
    assert breaker.state is State.CLOSED


async def test_many_that_fail_together_open_it_once_and_no_longer_than_one(
    breaker: CircuitBreaker, clock: Clock, changes: list[State]
) -> None:
    held = [await Held(breaker, Unavailable()).begun() for _ in range(30)]
    await held[0].ended()
    clock.now += 1.5
    for each in held[1:]:
        await each.ended()
    assert changes == [State.OPEN]
    clock.now += 0.5
    assert await breaker.call(Dependency()) == "answer"


async def test_what_began_before_it_opened_does_not_close_it(
    breaker: CircuitBreaker, changes: list[State]
) -> None:
    early = await Held(breaker).begun()
    await opened(breaker)
    assert await early.ended() == "answer"
    assert (breaker.state, changes) == (State.OPEN, [State.OPEN])


async def test_what_began_before_it_opened_does_not_open_it_again(
    breaker: CircuitBreaker, clock: Clock, changes: list[State]
) -> None:
    late = await Held(breaker, Unavailable()).begun()
    await opened(breaker)
    clock.now += 2
    await breaker.call(Dependency())
    await late.ended()
    assert (breaker.state, changes) == (State.CLOSED, [State.OPEN, State.CLOSED])


async def test_what_began_before_it_opened_does_not_end_the_probe(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    early = [await Held(breaker, error).begun() for error in (Unavailable(), NotFound(), None)]
    await opened(breaker)
    clock.now += 2
    probe = await Held(breaker).begun()
    for each in early:
        await each.ended()
        await refused(breaker, Dependency())
    assert await probe.ended() == "answer"
    assert breaker.state is State.CLOSED


LIMIT = Limit("login", Rate(2, 2))


class Store:
    """Limits that are there or away."""

    def __init__(self, clock: Clock) -> None:
        self._real = ProcessRateLimits(clock=clock)
        self.away = False
        self.asked = 0

    async def take(self, limit: Limit, subject: str, cost: int = 1) -> Decision:
        self.asked += 1
        if self.away:
            raise Unavailable
        return await self._real.take(limit, subject, cost)


class TestFallbackRateLimits:
    @pytest.fixture
    def store(self, clock: Clock) -> Store:
        return Store(clock)

    @pytest.fixture
    def limits(self, store: Store, clock: Clock, breaker: CircuitBreaker) -> FallbackRateLimits:
        return FallbackRateLimits(store, ProcessRateLimits(clock=clock), breaker)

    async def passing(self, limits: FallbackRateLimits, tries: int = 10) -> int:
        return sum([(await limits.take(LIMIT, "me")).allowed for _ in range(tries)])

    async def test_while_the_store_is_there_it_alone_counts(
        self, limits: FallbackRateLimits, store: Store
    ) -> None:
        assert await self.passing(limits) == 2
        assert store.asked == 10

    async def test_while_it_is_away_this_process_counts(
        self, limits: FallbackRateLimits, store: Store, clock: Clock
    ) -> None:
        await self.passing(limits)
        store.away = True
        assert await self.passing(limits) == 2
        clock.now += 1
        assert await self.passing(limits) == 1
        assert store.asked == 11

    async def test_an_unavailable_store_is_asked_by_one_now_and_then(
        self, limits: FallbackRateLimits, store: Store, clock: Clock, changes: list[State]
    ) -> None:
        store.away = True
        for asked in (1, 2, 3):
            await self.passing(limits, 100)
            assert store.asked == asked
            clock.now += 2
        store.away = False
        await self.passing(limits, 100)
        assert store.asked == 103
        assert changes == [State.OPEN, State.CLOSED]

    async def test_the_cost_goes_along(self, limits: FallbackRateLimits, store: Store) -> None:
        assert (await limits.take(LIMIT, "me", 2)).remaining == 0
        store.away = True
        assert (await limits.take(LIMIT, "me", 2)).remaining == 0
        assert not (await limits.take(LIMIT, "me")).allowed


class TestProcessRateLimits:
    async def test_it_is_bounded_and_forgets_who_asked_longest_ago(self, clock: Clock) -> None:
        limits = ProcessRateLimits(clock=clock, subjects=3)
        for subject in ("a", "b", "c", "a", "d"):
            assert (await limits.take(LIMIT, subject)).allowed
        assert list(limits._arrivals) == [("login", "c"), ("login", "a"), ("login", "d")]
        assert not (await limits.take(LIMIT, "a")).allowed

    async def test_one_that_asks_in_vain_is_not_forgotten_for_it(self, clock: Clock) -> None:
        limits = ProcessRateLimits(clock=clock, subjects=2)
        await limits.take(LIMIT, "greedy", 2)
        for number in range(50):
            assert not (await limits.take(LIMIT, "greedy")).allowed
            await limits.take(LIMIT, f"other {number}")
