"""The shapes on the wire of background work; see `schemas`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from msgspec import Meta

from taskflow_core import JobState
from taskflow_http import patterns
from taskflow_http.schemas import In, Moment, NextCursor, Out

if TYPE_CHECKING:
    from taskflow_core import JobStats as JobStatsView
    from taskflow_core import JobView, KindStats, ScanStats

Kind = Annotated[str, Meta(extra_json_schema=patterns.JOB_KIND)]


class DeadJobs(In):
    """Which dead jobs are to be tried again."""

    kind: Kind


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
    more: Annotated[bool, Meta(description="Whether there may be more of them: ask again.")]
