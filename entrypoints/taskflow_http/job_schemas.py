"""The shapes on the wire of background work; see `schemas`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from msgspec import Meta

from taskflow_core import DeadJobs as DeadJobsCommand
from taskflow_core import JobState
from taskflow_http import patterns
from taskflow_http.schemas import In, Moment, NextCursor, Out, Time

if TYPE_CHECKING:
    from taskflow_core import JobStats as JobStatsView
    from taskflow_core import JobView, KindStats, Retried, ScanStats

Kind = Annotated[str, Meta(extra_json_schema=patterns.JOB_KIND)]


class DeadJobs(In):
    """Which dead jobs to retry."""

    kind: Kind
    as_of: Annotated[
        Time | None, Meta(description="Only jobs that were dead at this time. Default: now.")
    ] = None

    def command(self) -> DeadJobsCommand:
        """Return what the use case takes."""
        return DeadJobsCommand(self.kind, self.as_of)


class Job(Out):
    """A background job."""

    id: UUID
    kind: str
    subject: Annotated[UUID | None, Meta(description="The id of the task or user that it is about.")]
    state: JobState
    attempts: Annotated[int, Meta(description="The number of attempts, including a running one.")]
    max_attempts: Annotated[int, Meta(description="The number of attempts after which it is dead.")]
    run_at: Annotated[Moment, Meta(description="When the next attempt is due, or the last one was.")]
    error: Annotated[str | None, Meta(description="Why the last attempt failed.")]
    created_at: Moment
    finished_at: Annotated[Moment | None, Meta(description="When it was done or became dead.")]
    request_id: Annotated[str | None, Meta(description="The id of the request that caused it.")]

    @classmethod
    def of(cls, view: JobView) -> Job:
        """Return what goes out of a job."""
        return cls(
            view.id, view.kind, view.subject, view.state, view.attempts, view.max_attempts, view.run_at,
            view.error, view.created_at, view.finished_at, view.request_id,
        )  # fmt: skip


class JobPage(Out):
    """A page of jobs, newest first."""

    data: list[Job]
    next_cursor: NextCursor


class KindCounts(Out):
    """Numbers of jobs of a kind that are not done."""

    kind: str
    due: Annotated[int, Meta(description="Pending, and due.")]
    scheduled: Annotated[int, Meta(description="Pending, and due later: mostly after a failed attempt.")]
    running: int
    dead: int
    oldest_due_at: Annotated[
        Moment | None, Meta(description="The time since which the longest waiting job has been due.")
    ]

    @classmethod
    def of(cls, stats: KindStats) -> KindCounts:
        """Return what goes out of a kind's counts."""
        return cls(
            stats.kind, stats.due, stats.scheduled, stats.running, stats.dead, stats.oldest_due_at
        )  # fmt: skip


class ScanDue(Out):
    """When a periodic scan for work is due."""

    name: str
    due_at: Annotated[Moment, Meta(description="A time long past means that no scheduler runs.")]

    @classmethod
    def of(cls, scan: ScanStats) -> ScanDue:
        """Return what goes out of a scan."""
        return cls(scan.name, scan.due_at)


class JobStats(Out):
    """Numbers of jobs that are not done, by kind, and when each scan is due."""

    kinds: list[KindCounts]
    scans: list[ScanDue]

    @classmethod
    def of(cls, stats: JobStatsView) -> JobStats:
        """Return what goes out of the counts."""
        return cls([KindCounts.of(kind) for kind in stats.kinds], [ScanDue.of(scan) for scan in stats.scans])


class RetriedJobs(Out):
    """How many dead jobs of a kind were retried."""

    retried: Annotated[int, Meta(description="The number of jobs retried, 1,000 at most.")]
    next: Annotated[
        DeadJobs | None,
        Meta(description="The body of the next request; null after the last. No job is retried twice."),
    ]

    @classmethod
    def of(cls, retried: Retried) -> RetriedJobs:
        """Return what goes out of what was done."""
        left = retried.next
        return cls(retried.number, None if left is None else DeadJobs(kind=left.kind, as_of=left.as_of))
