"""The rules of background work, and how long it waits between tries."""

from datetime import timedelta
from typing import Any

import pytest

from support.samples import NOW, new_id, new_job
from taskflow_core import JobNotDead, JobState, JobView, LeaseLost, LedgerEntry, back_off
from taskflow_core.ledger import (
    BACK_OFF_BASE,
    BACK_OFF_CAP,
    DELAY_MAX,
    ERROR_MAX,
    KIND_MAX,
    LEASE,
    PAYLOAD_MAX,
    TIME_LIMIT,
    TRIES,
    check_kind,
)

SECOND = timedelta(seconds=1)
LATER = NOW + timedelta(hours=1)
ALMOST_ONE = 1 - 2**-53


def running(**given: Any) -> LedgerEntry:
    job = new_job(**given)
    job.claim(NOW)
    return job


def dead(**given: Any) -> LedgerEntry:
    job = running(**given)
    job.fail("It broke.", NOW, 0, final=True)
    return job


class TestBackOff:
    @pytest.mark.parametrize("tries", [1, 2, 5, 12, 13, 100, 10**9])
    def test_it_is_between_nothing_and_the_longest_of_that_try(self, tries: int) -> None:
        longest = min(BACK_OFF_BASE * 2 ** min(tries - 1, 40), BACK_OFF_CAP)
        assert back_off(tries, 0) == timedelta()
        assert back_off(tries, 0.5) == longest / 2
        assert longest - timedelta(milliseconds=1) < back_off(tries, ALMOST_ONE) <= longest

    def test_it_doubles_until_the_cap(self) -> None:
        halves = [back_off(tries, 0.5) for tries in range(1, 40)]
        growing = [delay for delay in halves if delay < BACK_OFF_CAP / 2]
        assert growing == [SECOND / 2 * 2**n for n in range(len(growing))]
        assert len(growing) == 12
        assert set(halves[12:]) == {BACK_OFF_CAP / 2}

    def test_all_tries_together_take_some_three_hours(self) -> None:
        total = sum((back_off(tries, 0.5) for tries in range(1, TRIES)), timedelta())
        assert timedelta(hours=2) < total < timedelta(hours=4)

    @pytest.mark.parametrize(("tries", "chance"), [(0, 0.5), (-1, 0.5), (1, 1), (1, -0.1), (1, float("nan"))])
    def test_there_is_none_without_a_try_or_a_chance(self, tries: int, chance: float) -> None:
        with pytest.raises(ValueError, match="must be a try"):
            back_off(tries, chance)


class TestCreation:
    def test_it_is_due_at_once_unless_told_otherwise(self) -> None:
        id = new_id()
        job = LedgerEntry.create(id=id, kind="kind", now=NOW)
        assert job == LedgerEntry(
            id=id, kind="kind", subject=None, payload={}, created_at=NOW, run_at=NOW, max_tries=TRIES
        )
        assert job.state is JobState.PENDING
        assert job.is_due(NOW)

    @pytest.mark.parametrize(
        "kind", ["", " a", "a b", 'a"', "a\\b", "a.", ".a", "a..b", "x" * (KIND_MAX + 1), "ü"]
    )
    def test_its_kind_has_a_name_that_workers_can_ask_for(self, kind: str) -> None:
        with pytest.raises(ValueError, match="not the name of a kind"):
            LedgerEntry.create(id=new_id(), kind=kind, now=NOW)

    @pytest.mark.parametrize("tries", [0, -1, 101])
    def test_it_has_tries_and_not_too_many(self, tries: int) -> None:
        with pytest.raises(ValueError, match="between 1 and 100"):
            LedgerEntry.create(id=new_id(), kind="a.kind", now=NOW, max_tries=tries)

    @pytest.mark.parametrize("text", ["x" * (PAYLOAD_MAX - 9), "ä" * ((PAYLOAD_MAX - 9) // 2)])
    def test_a_payload_has_its_bound_in_bytes(self, text: str) -> None:
        assert PAYLOAD_MAX == 64 * 1024
        job = LedgerEntry.create(id=new_id(), kind="a.kind", now=NOW, payload={"a": text})
        assert job.payload == {"a": text}
        with pytest.raises(ValueError, match="65536 bytes of JSON at most"):
            LedgerEntry.create(id=new_id(), kind="a.kind", now=NOW, payload={"a": text + "xx"})

    @pytest.mark.parametrize("payload", [{"a\0": "b"}, {"a": "b\0"}, {"a": "\ud800"}])
    def test_a_payload_is_text_that_can_be_stored(self, payload: dict[str, str]) -> None:
        with pytest.raises(ValueError, match="must"):
            LedgerEntry.create(id=new_id(), kind="a.kind", now=NOW, payload=payload)

    @pytest.mark.parametrize("delay", [DELAY_MAX, -DELAY_MAX])
    def test_it_can_wait_for_years(self, delay: timedelta) -> None:
        job = LedgerEntry.create(id=new_id(), kind="a.kind", now=NOW, delay=delay)
        assert job.run_at == NOW + delay

    @pytest.mark.parametrize(
        "delay", [DELAY_MAX + timedelta.resolution, -DELAY_MAX - timedelta.resolution, timedelta.max]
    )
    def test_it_cannot_wait_for_a_time_that_nobody_can_tell(self, delay: timedelta) -> None:
        with pytest.raises(ValueError, match="3650 days at most"):
            LedgerEntry.create(id=new_id(), kind="a.kind", now=NOW, delay=delay)

    def test_every_field_is_taken(self) -> None:
        payload, subject = {"a": "b"}, new_id()
        job = LedgerEntry.create(
            id=new_id(), kind="kind", now=NOW, subject=subject, payload=payload, max_tries=3,
            delay=SECOND, request_id="request-1",
        )  # fmt: skip
        payload["a"] = "changed"
        assert (job.subject, job.payload, job.max_tries) == (subject, {"a": "b"}, 3)
        assert (job.created_at, job.run_at, job.request_id) == (NOW, NOW + SECOND, "request-1")
        assert not job.is_due(NOW)
        assert job.is_due(NOW + SECOND)

    def test_a_lease_outlasts_a_try(self) -> None:
        assert LEASE > TIME_LIMIT


class TestClaims:
    def test_a_claim_is_a_try_with_a_fence_and_a_lease(self) -> None:
        job = new_job(tries=2, fence=7)
        job.claim(LATER, SECOND)
        assert (job.state, job.tries, job.fence, job.lease_until) == (JobState.RUNNING, 3, 8, LATER + SECOND)
        assert not job.is_due(LATER)

    def test_it_expires_after_its_lease(self) -> None:
        job = running()
        assert not job.is_expired(NOW + LEASE)
        assert job.is_expired(NOW + LEASE + timedelta(microseconds=1))
        assert not new_job().is_expired(LATER)
        job.finish(NOW)
        assert not job.is_expired(LATER)

    def test_it_is_held_by_the_last_claim_only(self) -> None:
        job = running()
        job.require_held(1)
        for fence in (0, 2):
            with pytest.raises(LeaseLost):
                job.require_held(fence)

    def test_what_does_not_run_is_held_by_nobody(self) -> None:
        for job in (new_job(fence=1), dead()):
            with pytest.raises(LeaseLost):
                job.require_held(1)


class TestEnds:
    def test_what_is_done_is_over_and_its_error_forgotten(self) -> None:
        job = running(error="The try before.")
        job.finish(LATER)
        assert (job.state, job.finished_at, job.lease_until, job.error) == (JobState.DONE, LATER, None, None)

    def test_what_failed_waits_longer_each_time(self) -> None:
        job = running()
        job.fail("It broke.", LATER, 0.5)
        assert (job.state, job.error, job.run_at) == (JobState.PENDING, "It broke.", LATER + SECOND / 2)
        assert (job.lease_until, job.finished_at, job.tries, job.fence) == (None, None, 1, 1)
        job.claim(LATER)
        job.fail("Again.", LATER, 0.5)
        assert (job.error, job.run_at, job.tries) == ("Again.", LATER + SECOND, 2)

    def test_it_dies_with_its_last_try(self) -> None:
        job = new_job(max_tries=2)
        for state in (JobState.PENDING, JobState.DEAD):
            job.claim(NOW)
            job.fail("It broke.", LATER, 0)
            assert job.state is state
        assert (job.finished_at, job.lease_until, job.error) == (LATER, None, "It broke.")

    def test_it_dies_at_once_where_no_try_helps(self) -> None:
        job = running()
        job.fail("Never.", LATER, 0, final=True)
        assert (job.state, job.tries, job.error) == (JobState.DEAD, 1, "Never.")

    def test_errors_are_cut(self) -> None:
        job = running()
        job.fail("x" * (ERROR_MAX + 1), NOW, 0)
        assert job.error == "x" * ERROR_MAX

    def test_errors_are_made_into_what_any_store_can_hold(self) -> None:
        job = running()
        job.fail("a\0b\ud800c é", NOW, 0)
        assert job.error == "ab?c é"

    @pytest.mark.parametrize(("max_tries", "state"), [(1, JobState.DEAD), (2, JobState.PENDING)])
    def test_a_try_whose_worker_died_counts(self, max_tries: int, state: JobState) -> None:
        job = running(max_tries=max_tries)
        job.expire(LATER, 0.5)
        assert job.state is state
        assert "did not finish in time" in (job.error or "")

    def test_what_is_given_back_is_due_and_its_try_does_not_count(self) -> None:
        job = running(error="The try before.")
        job.give_back(LATER)
        assert (job.state, job.tries, job.run_at, job.lease_until) == (JobState.PENDING, 0, LATER, None)
        assert job.error == "The try before."

    def test_its_worker_cannot_go_on_with_what_it_gave_back(self) -> None:
        job = running()
        job.give_back(LATER)
        job.claim(LATER)
        assert (job.tries, job.fence) == (1, 2)
        with pytest.raises(LeaseLost):
            job.require_held(1)

    def test_one_that_was_given_back_and_fails_without_a_try_waits_all_the_same(self) -> None:
        job = new_job()
        job.fail("It broke.", NOW, 0.5)
        assert job.run_at == NOW + SECOND / 2


class TestRetry:
    def test_what_is_dead_gets_all_its_tries_again(self) -> None:
        job = dead(max_tries=1)
        job.retry(LATER)
        assert (job.state, job.tries, job.run_at, job.finished_at) == (JobState.PENDING, 0, LATER, None)
        assert (job.fence, job.error) == (1, "It broke.")

    def test_nothing_else_needs_a_hand(self) -> None:
        done = running()
        done.finish(NOW)
        for job in (new_job(), running(), done):
            state = job.state
            with pytest.raises(JobNotDead):
                job.retry(LATER)
            assert job.state is state


class TestKinds:
    @pytest.mark.parametrize("kind", [None, "x", "a.b:c", "x" * KIND_MAX])
    def test_any_text_may_be_one(self, kind: str | None) -> None:
        assert check_kind(kind) == kind

    @pytest.mark.parametrize("kind", ["", "x" * (KIND_MAX + 1), "a\0b", "\ud800"])
    def test_what_cannot_be_stored_is_none(self, kind: str) -> None:
        with pytest.raises(ValueError, match="must"):
            check_kind(kind)


def test_a_view_shows_how_it_stands() -> None:
    subject = new_id()
    job = running(subject=subject, payload={"a": "b"}, max_tries=3, request_id="request-1")
    job.fail("It broke.", NOW, 0.5)
    assert JobView.of(job) == JobView(
        job.id, "kind", subject, JobState.PENDING, 1, 3, NOW + SECOND / 2, "It broke.", NOW, None, "request-1"
    )
