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
    """Which dead jobs are to be tried again."""

    kind: Kind
    as_of: Annotated[
        Time | None, Meta(description="Only those that had died by then; without it, by now.")
    ] = None

    def command(self) -> DeadJobsCommand:
        """Return what the use case takes."""
        return DeadJobsCommand(self.kind, self.as_of)


class Job(Out):
    """A unit of background work."""

    id: UUID
    kind: str
    subject: Annotated[UUID | None, Meta(description="What it is about: a task's id, or a user's.")]
    state: JobState
    attempts: Annotated[int, Meta(description="How often it was tried, the present time included.")]
    max_attempts: Annotated[int, Meta(description="After as many failures it is dead.")]
    run_at: Annotated[Moment, Meta(description="When it is or was due (again).")]
    error: Annotated[str | None, Meta(description="Why the last try failed.")]
    created_at: Moment
    finished_at: Annotated[Moment | None, Meta(description="When it was done or died.")]
    request_id: Annotated[str | None, Meta(description="Of the request that caused it.")]

    @classmethod
    def of(cls, view: JobView) -> Job:
        """Return what goes out of a job."""
        return cls(
            view.id, view.kind, view.subject, view.state, view.attempts, view.max_attempts, view.run_at,
            view.error, view.created_at, view.finished_at, view.request_id,
        )  # fmt: skip


class JobPage(Out):
    """Some jobs, newest first."""

    data: list[Job]
    next_cursor: NextCursor


class KindCounts(Out):
    """How many jobs of a kind there are that are not done."""

    kind: str
    due: Annotated[int, Meta(description="Waiting, and due.")]
    scheduled: Annotated[int, Meta(description="Waiting for their time: tries that failed, mostly.")]
    running: int
    dead: int
    oldest_due_at: Annotated[
        Moment | None, Meta(description="Since when the one is due that has waited longest.")
    ]

    @classmethod
    def of(cls, stats: KindStats) -> KindCounts:
        """Return what goes out of a kind's counts."""
        return cls(
            stats.kind, stats.due, stats.scheduled, stats.running, stats.dead, stats.oldest_due_at
        )  # fmt: skip


class ScanDue(Out):
    """When schedulers are to look for work again."""

    name: str
    due_at: Annotated[Moment, Meta(description="Long ago where no scheduler runs.")]

    @classmethod
    def of(cls, scan: ScanStats) -> ScanDue:
        """Return what goes out of a scan."""
        return cls(scan.name, scan.due_at)


class JobStats(Out):
    """How many jobs there are that are not done, by kind, and when each scan is due."""

    kinds: list[KindCounts]
    scans: list[ScanDue]

    @classmethod
    def of(cls, stats: JobStatsView) -> JobStats:
        """Return what goes out of the counts."""
        return cls([KindCounts.of(kind) for kind in stats.kinds], [ScanDue.of(scan) for scan in stats.scans])


class RetriedJobs(Out):
    """What became of the dead jobs of a kind."""

    retried: Annotated[int, Meta(description="How many were given their tries again, 1,000 at most.")]
    next: Annotated[
        DeadJobs | None,
        Meta(description="What to ask again with, as long as it is not null: no job comes twice by it."),
    ]

    @classmethod
    def of(cls, retried: Retried) -> RetriedJobs:
        """Return what goes out of what was done."""
        left = retried.next
        return cls(retried.number, None if left is None else DeadJobs(kind=left.kind, as_of=left.as_of))
