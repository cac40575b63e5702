"""Whether background work that was acknowledged is done, once in its effect, or dead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from datetime import timedelta
from itertools import chain
from typing import Final
from uuid import UUID

from benchmarks.faults.findings import Finding, broken, doubled, lost
from benchmarks.faults.records import Book
from benchmarks.faults.snapshot import EntryRow, JobRow, Snapshot
from taskflow_core import JobKind
from taskflow_core.tasks import as_text

ENDED: Final = ("done", "dead")
SAMPLE: Final = "sample"
"""What operations are called that make a sample job."""
EVENT: Final = "security event"
"""What operations are called that make a security event."""
_OVER: Final = timedelta(seconds=30)
"""So long after the end of its lease somebody should have taken a job over."""


def of_jobs(book: Book, found: Snapshot) -> Iterator[Finding]:
    """Yield what is wrong with the ledger and the effects of its jobs."""
    yield from _of_states(found)
    yield from _of_assignments(found)
    yield from _of_events(found)
    yield from _of_samples(book, found)


def _of_states(found: Snapshot) -> Iterator[Finding]:
    for job in found.jobs.values():
        if job.state not in ENDED:
            yield lost(f"job {job}, due at {job.run_at}")
        if job.state == "running" and job.lease_until is not None and job.lease_until < found.at - _OVER:
            yield broken(f"job {job}, its lease out since {job.lease_until}")
        if (job.state in ENDED) != (job.finished_at is not None):
            yield broken(f"job {job}, finished at {job.finished_at}")
        if job.kind.startswith("task.") and job.subject not in found.tasks:
            yield broken(f"job {job} is about task {job.subject}, which is not there")


def _of_assignments(found: Snapshot) -> Iterator[Finding]:
    """Each step that made a task somebody's who did not make the step has a job, and none has two."""
    owed: Counter[Hashable] = Counter(
        (entry.task_id, entry.changes["user_id"][1], entry.request_id)
        for entry in chain.from_iterable(found.history.values())
        if is_assignment(entry)
    )
    made: Counter[Hashable] = Counter(
        (job.subject, job.payload["user_id"], job.request_id)
        for job in _of_kind(found, JobKind.TASK_ASSIGNED)
    )
    yield from _compared(owed, made, "assigned task")


def is_assignment(entry: EntryRow) -> bool:
    """Return whether a step made a task somebody's who did not make the step."""
    return "user_id" in entry.changes and entry.changes["user_id"][1] != str(entry.actor_id)


def _of_events(found: Snapshot) -> Iterator[Finding]:
    owed: Counter[Hashable] = Counter(
        (event.user_id, event.type, as_text(event.at)) for event in found.events
    )
    made: Counter[Hashable] = Counter(
        (job.subject, job.payload["type"], job.payload["at"])
        for job in _of_kind(found, JobKind.SECURITY_EVENT)
    )
    yield from _compared(owed, made, "security event")


def _compared(owed: Counter[Hashable], made: Counter[Hashable], of: str) -> Iterator[Finding]:
    for what in (owed - made).elements():
        yield lost(f"no job for {of} {what}")
    for what in (made - owed).elements():
        yield doubled(f"a job too many for {of} {what}")


def _of_samples(book: Book, found: Snapshot) -> Iterator[Finding]:
    kinds = {SAMPLE: JobKind.SAMPLE_REFUND, EVENT: JobKind.SECURITY_EVENT}
    made = Counter((job.kind, job.request_id) for job in found.jobs.values())
    for operation in book.operations:
        if operation.kind in kinds:
            number = sum(made[kinds[operation.kind], each.request_id] for each in operation.attempts)
            if operation.acknowledged and not number:
                yield lost(f"{operation}: acknowledged, and made no job")
            if number > 1:
                yield doubled(f"{operation}: made {number} jobs")
    for job in _of_kind(found, JobKind.SAMPLE_REFUND):
        yield from _of_refunds(job, found.refunds[job.id])
    for job_id in found.refunds.keys() - found.jobs.keys():
        yield broken(f"a refund of job {job_id}, which is not there")


def _of_refunds(job: JobRow, number: int) -> Iterator[Finding]:
    owed = int(job.state == "done")
    if number < owed:
        yield lost(f"job {job}, and left no refund")
    if number > owed:
        yield doubled(f"job {job}, and left {number} refunds")


def _of_kind(found: Snapshot, kind: JobKind) -> Iterator[JobRow]:
    return (job for job in found.jobs.values() if job.kind == kind)


def jobs_of_subject(found: Snapshot, kind: JobKind) -> dict[UUID, list[JobRow]]:
    """Return the jobs of a kind by what they are about."""
    jobs: dict[UUID, list[JobRow]] = {}
    for job in _of_kind(found, kind):
        if job.subject is not None:
            jobs.setdefault(job.subject, []).append(job)
    return jobs
