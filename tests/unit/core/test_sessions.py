"""Sessions: how their refresh tokens rotate, and when they end."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from support.samples import NOW, new_id, new_session
from taskflow_core import End, Origin, Refreshed, Session
from taskflow_core.sessions import GRACE, REPLACED_MAX, USER_AGENT_MAX

ADVANCED, REPEATED, REUSED, REFUSED = Refreshed
DAY, TICK = 86_400, 1e-6


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def refreshed(*times: float, grace: timedelta = GRACE) -> Session:
    """A session opened at 0 whose current token was used at each of these seconds."""
    session = new_session(new_id())
    for time in times:
        assert session.refresh(session.generation, at(time), grace) is ADVANCED
    return session


def test_a_new_one_is_live_at_generation_1() -> None:
    id, user_id, origin = new_id(), new_id(), Origin("address", "network", "agent")
    session = Session.open(id=id, user_id=user_id, seed=b"seed", origin=origin, now=NOW)
    assert session == Session(
        id=id, user_id=user_id, seed=b"seed", origin=origin, created_at=NOW, last_used_at=NOW,
        generation=1, replaced=(), ended_at=None, end=None,
    )  # fmt: skip
    assert session.is_live(NOW)


@pytest.mark.parametrize(
    ("refreshes", "generation", "time", "expected"),
    [
        # the current one advances, for ever so long
        ([], 1, 0, ADVANCED),
        ([], 1, 10 * DAY, ADVANCED),
        ([0], 2, 0, ADVANCED),
        ([0, 1, 2], 4, 3, ADVANCED),
        # the one before gets the current one again, up to the edge of the grace
        ([0], 1, 0, REPEATED),
        ([0], 1, 29.999, REPEATED),
        ([0], 1, 30, REPEATED),
        ([0], 1, 30 + TICK, REUSED),
        ([0], 1, 5 * DAY, REUSED),
        # each generation by when it was itself replaced
        ([0, 10, 20], 1, 30, REPEATED),
        ([0, 10, 20], 2, 30, REPEATED),
        ([0, 10, 20], 3, 30, REPEATED),
        ([0, 10, 20], 1, 31, REUSED),
        ([0, 10, 20], 2, 31, REPEATED),
        ([0, 10, 20], 2, 41, REUSED),
        ([0, 10, 20], 3, 50, REPEATED),
        ([0, 10, 20], 3, 51, REUSED),
        # one that is forgotten was replaced long ago
        ([0, 40], 1, 40, REUSED),
        ([0, 40], 1, 41, REUSED),
        ([0, 40], 2, 41, REPEATED),
        ([0, 40, 80, 120], 1, 121, REUSED),
        ([0], 0, 1, REUSED),
        # one that was never given out
        ([], 2, 0, REFUSED),
        ([], 10**9, 0, REFUSED),
        ([0, 1], 4, 2, REFUSED),
        # a clock that goes back
        ([10], 1, 5, REPEATED),
        ([10], 1, -100, REPEATED),
        ([10], 2, 5, ADVANCED),
    ],
)
def test_what_becomes_of_a_refresh(
    refreshes: list[float], generation: int, time: float, expected: Refreshed
) -> None:
    session = refreshed(*refreshes)
    before = replace(session)
    assert session.refresh(generation, at(time), GRACE) is expected
    match expected:
        case Refreshed.ADVANCED:
            assert session.generation == before.generation + 1
            assert (session.last_used_at, session.replaced[0]) == (at(time), at(time))
            session.generation, session.replaced = before.generation, before.replaced
            assert replace(session, last_used_at=before.last_used_at) == before
        case Refreshed.REUSED:
            assert session == replace(before, ended_at=at(time), end=End.REFRESH_REUSED)
        case _:
            assert session == before


@pytest.mark.parametrize("time", [0, TICK, 5])
def test_without_grace_each_token_is_good_once(time: float) -> None:
    none = timedelta()
    session = refreshed(0, grace=none)
    assert replace(session).refresh(2, at(time), none) is ADVANCED
    assert session.refresh(1, at(time), none) is REUSED


def test_what_lies_beyond_the_grace_is_not_remembered() -> None:
    session = refreshed(0, 20, 40, 60)
    assert session.replaced == (at(60), at(40))
    assert refreshed(0, 30).replaced == (at(30), at(0))


def test_no_more_than_a_hundred_are_remembered() -> None:
    session = refreshed(*[0] * (REPLACED_MAX + 50))
    assert (session.generation, len(session.replaced)) == (151, REPLACED_MAX)
    assert replace(session).refresh(51, at(1), GRACE) is REPEATED
    assert session.refresh(50, at(1), GRACE) is REUSED


@pytest.mark.parametrize(
    ("refreshes", "ends"),
    [
        # 30 days after it was last used, 90 after it was opened
        ([], 30 * DAY),
        ([10 * DAY], 40 * DAY),
        ([29 * DAY, 58 * DAY], 88 * DAY),
        ([29 * DAY, 58 * DAY, 87 * DAY], 90 * DAY),
        ([29 * DAY, 58 * DAY, 60 * DAY], 90 * DAY),
    ],
)
def test_it_expires(refreshes: list[float], ends: float) -> None:
    session = refreshed(*refreshes)
    assert session.expires_at == at(ends)
    assert session.is_live(at(ends - TICK))
    assert not session.is_live(at(ends))
    assert replace(session).refresh(session.generation, at(ends - TICK), GRACE) is ADVANCED
    before = replace(session)
    # It is over whichever token comes; one that is too old is no longer worth telling of.
    for generation in range(1, session.generation + 2):
        assert session.refresh(generation, at(ends), GRACE) is REFUSED
    assert session == before


@pytest.mark.parametrize("end", End)
def test_one_that_ended_stays_ended_as_it_was(end: End) -> None:
    session = refreshed(0, 100)
    assert session.finish(end, at(101))
    assert not session.is_live(at(101))
    ended = replace(session)
    assert (ended.ended_at, ended.end) == (at(101), end)
    assert not session.finish(End.LOGGED_OUT, at(102))
    for generation in (1, 2, 3, 4):
        assert session.refresh(generation, at(102), GRACE) is REFUSED
    assert session == ended


def test_a_copied_token_ends_it_for_the_thief_and_the_owner() -> None:
    session = refreshed(0)
    assert session.refresh(2, at(60), GRACE) is ADVANCED
    assert session.refresh(1, at(61), GRACE) is REUSED
    assert session.refresh(3, at(61), GRACE) is REFUSED
    assert session.refresh(1, at(62), GRACE) is REFUSED
    assert session.ended_at == at(61)


@pytest.mark.parametrize("length", [0, 1, USER_AGENT_MAX, USER_AGENT_MAX + 1, 100_000])
def test_of_what_a_client_calls_itself_so_much_is_kept(length: int) -> None:
    assert Origin(user_agent="x" * length).user_agent == "x" * min(length, USER_AGENT_MAX)
    assert Origin().user_agent is None
