"""The machine's clock and chance, and how ids stay in order when the clock is not."""

import secrets
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from support.samples import NOW
from taskflow_system import SystemChance, SystemClock, Uuid7


@pytest.mark.parametrize(
    ("nanoseconds", "told"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1_999_999, datetime(1970, 1, 1, 0, 0, 0, 1_000, tzinfo=UTC)),
        (1_793_698_215_123_999_999, datetime(2026, 11, 3, 9, 30, 15, 123_000, tzinfo=UTC)),
        (4_102_444_799_999_000_000, datetime(2099, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
    ],
)
def test_the_clock_tells_the_machines_time_cut_to_milliseconds(
    monkeypatch: pytest.MonkeyPatch, nanoseconds: int, told: datetime
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: nanoseconds)
    assert SystemClock()() == told


def test_chance_is_spread_over_its_whole_range_and_nobody_elses() -> None:
    one, other = SystemChance(), SystemChance()
    drawn = [one() for _ in range(10_000)]
    assert all(0 <= chance < 1 for chance in drawn)
    # Each tenth has its 1,000 of them; 300 away from that are ten standard deviations.
    tenths = [sum(int(chance * 10) == tenth for chance in drawn) for tenth in range(10)]
    assert all(700 < count < 1_300 for count in tenths)
    assert [other() for _ in range(10)] != drawn[:10]


def counter(make: Uuid7) -> int:
    return make._counter


def test_the_counter_begins_anew_each_millisecond_below_half_of_its_range() -> None:
    make = Uuid7()
    seeds = set()
    for n in range(200):
        make(NOW + timedelta(milliseconds=n))
        seeds.add(counter(make))
    assert len(seeds) > 190
    assert max(seeds) < 1 << 41


def test_where_the_time_goes_back_the_latest_is_kept() -> None:
    make = Uuid7()
    first, second = make(NOW), make(NOW - timedelta(days=1))
    assert first < second
    assert first.int >> 80 == second.int >> 80


def test_a_counter_that_overflows_borrows_from_the_next_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    make = Uuid7()
    first = make(NOW)
    monkeypatch.setattr(make, "_counter", (1 << 42) - 2)
    last, over = make(NOW), make(NOW)
    assert counter(make) < 1 << 41
    assert first < last < over
    assert (last.int >> 80) + 1 == over.int >> 80
    assert {last.version, over.version} == {7}
    # The borrowed millisecond counts as seen: its own ids come behind.
    assert over < make(NOW) < make(NOW + timedelta(milliseconds=1))


def test_the_random_bits_are_no_part_of_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([5, (1 << 32) - 1, 0])
    monkeypatch.setattr(secrets, "randbits", lambda _: next(values))
    make = Uuid7()
    first, second = make(NOW), make(NOW)
    assert first < second
    assert first.int & 0xFFFF_FFFF == (1 << 32) - 1
    assert second.int & 0xFFFF_FFFF == 0


def test_threads_share_one_maker() -> None:
    make = Uuid7()
    made: list[list[object]] = []

    def work() -> None:
        mine = [make(NOW) for _ in range(2_000)]
        assert mine == sorted(mine)
        made.append(list(mine))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id for mine in made for id in mine}) == 16_000
