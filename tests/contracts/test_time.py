"""Clocks and identifiers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest

from support.samples import NOW, SettableClock
from taskflow_core.ports.time import Clock, Ids
from taskflow_system import SystemClock, Uuid7


@pytest.fixture(params=[SettableClock, SystemClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    make: Callable[[], Clock] = request.param
    return make()


@pytest.fixture(params=[Uuid7])
def ids(request: pytest.FixtureRequest) -> Ids:
    make: Callable[[], Ids] = request.param
    return make()


def milliseconds(id: UUID) -> int:
    return id.int >> 80


def test_a_clock_tells_utc_in_whole_milliseconds(clock: Clock) -> None:
    for _ in range(1_000):
        now = clock()
        assert now.tzinfo is UTC
        assert now.microsecond % 1_000 == 0


def test_an_id_is_a_uuid_of_version_7_and_of_the_time_given(ids: Ids) -> None:
    for time in (NOW, NOW + timedelta(milliseconds=1), datetime(2100, 1, 1, tzinfo=UTC)):
        id = ids(time)
        assert (id.version, id.variant) == (7, RFC_4122)
        assert milliseconds(id) == round(time.timestamp() * 1000)


def test_ids_of_one_moment_differ_and_rise(ids: Ids) -> None:
    made = [ids(NOW) for _ in range(10_000)]
    assert made == sorted(set(made))
    assert {milliseconds(id) for id in made} == {milliseconds(made[0])}


def test_ids_rise_where_the_time_goes_back(ids: Ids) -> None:
    times = [NOW, NOW - timedelta(days=1), NOW + timedelta(seconds=1), NOW, NOW - timedelta(days=9), NOW]
    made = [ids(time) for time in times for _ in range(3)]
    assert made == sorted(set(made))


def test_two_makers_never_make_the_same(ids: Ids) -> None:
    others = Uuid7()
    assert len({maker(NOW) for _ in range(1_000) for maker in (ids, others)}) == 2_000
