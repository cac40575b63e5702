"""Watch background work, and lend a hand to what is dead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from taskflow_core.errors import NotFound
from taskflow_core.fields import check_fields
from taskflow_core.ledger import FIELD_RULES, JobQuery, JobStats, JobView
from taskflow_core.permissions import Actor, Permission
from taskflow_core.queries import check_limit
from taskflow_core.use_cases.actors import load_users

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from taskflow_core.ledger import LedgerEntry
    from taskflow_core.ports.ledger import LedgerReads
    from taskflow_core.ports.persistence import Transaction, Transactions
    from taskflow_core.ports.time import Clock
    from taskflow_core.queries import Page

RETRY_STEP: Final = 1_000
"""Jobs that are retried in one unit of work."""


@dataclass(frozen=True, slots=True)
class FindJob:
    """Read one job."""

    reads: LedgerReads

    async def __call__(self, job_id: UUID, actor: Actor) -> JobView:
        """Return the job.

        Raises:
            Forbidden: Without the permission to see jobs.
            NotFound: There is none; what was done a week ago is not kept.
        """
        actor.require(Permission.SEE_JOBS)
        job = await self.reads.job(job_id)
        if job is None:
            raise NotFound
        return job


@dataclass(frozen=True, slots=True)
class ListJobs:
    """List jobs, the newest first."""

    reads: LedgerReads
    clock: Clock

    async def __call__(self, query: JobQuery, actor: Actor) -> Page[JobView]:
        """Return a page.

        Raises:
            Forbidden: Without the permission to see jobs.
            InvalidInput: The limit or the kind is none.
        """
        actor.require(Permission.SEE_JOBS)
        check_fields({"limit": check_limit, **FIELD_RULES}, {"limit": query.limit, "kind": query.kind})
        return await self.reads.jobs(query, self.clock())


@dataclass(frozen=True, slots=True)
class CountJobs:
    """Count jobs."""

    reads: LedgerReads

    async def __call__(self, actor: Actor) -> JobStats:
        """Return how many jobs there are that are not done, by kind.

        Raises:
            Forbidden: Without the permission to see jobs.
        """
        actor.require(Permission.SEE_JOBS)
        return await self.reads.stats()


async def _require_steer(transaction: Transaction, actor: Actor) -> None:
    """Check once more, inside the transaction, that the actor may steer jobs."""
    _, current = await load_users(transaction, actor)
    current.require(Permission.STEER_JOBS)


async def _load(transaction: Transaction, job_id: UUID) -> tuple[LedgerEntry, datetime]:
    found = await transaction.ledger.load(job_id)
    if found is None:
        raise NotFound
    return found


@dataclass(frozen=True, slots=True)
class RetryJob:
    """Give a dead job all its tries again."""

    transactions: Transactions

    async def __call__(self, job_id: UUID, actor: Actor) -> JobView:
        """Return the job, which is due now.

        Raises:
            Forbidden: Without the permission to steer jobs.
            NotFound: There is none.
            JobNotDead: It is not dead.
        """
        actor.require(Permission.STEER_JOBS)
        async with self.transactions(actor.once) as transaction:
            await _require_steer(transaction, actor)
            transaction.replay()
            job, now = await _load(transaction, job_id)
            job.retry(now)
            transaction.ledger.save(job)
            view = JobView.of(job)
            await transaction.commit(view)
        return view


@dataclass(frozen=True, slots=True)
class DeadJobs:
    """Which dead jobs: those of a kind that had died by a time; by now where there is none."""

    kind: str
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Retried:
    """How many dead jobs were given their tries again.

    Attributes:
        next: What is left: those that were dead at the first call. None where there are no more.
    """

    number: int
    next: DeadJobs | None = None


@dataclass(frozen=True, slots=True)
class RetryJobs:
    """Give all dead jobs of a kind their tries again, `RETRY_STEP` in one call.

    Those that have been dead for longest go first. Whoever goes on with `Retried.next` comes to an end, also
    where they die again at once.
    """

    transactions: Transactions

    async def __call__(self, command: DeadJobs, actor: Actor) -> Retried:
        """Return how many there were, and what to go on with.

        Raises:
            Forbidden: Without the permission to steer jobs.
            InvalidInput: The kind is none, or the time.
        """
        actor.require(Permission.STEER_JOBS)
        given = check_fields(FIELD_RULES, {"kind": command.kind, "as_of": command.as_of})
        async with self.transactions(actor.once) as transaction:
            await _require_steer(transaction, actor)
            transaction.replay()
            jobs, now = await transaction.ledger.load_dead(**given, limit=RETRY_STEP)
            for job in jobs:
                job.retry(now)
                transaction.ledger.save(job)
            began = min(given["as_of"] or now, now)
            following = DeadJobs(command.kind, began) if len(jobs) == RETRY_STEP else None
            retried = Retried(len(jobs), following)
            await transaction.commit(retried)
        return retried


@dataclass(frozen=True, slots=True)
class DiscardJob:
    """Give a dead job up."""

    transactions: Transactions

    async def __call__(self, job_id: UUID, actor: Actor) -> JobView:
        """Return what was removed.

        Raises:
            Forbidden: Without the permission to steer jobs.
            NotFound: There is none.
            JobNotDead: It is not dead.
        """
        actor.require(Permission.STEER_JOBS)
        async with self.transactions() as transaction:
            await _require_steer(transaction, actor)
            job, _ = await _load(transaction, job_id)
            job.require_dead()
            transaction.ledger.remove(job)
            await transaction.commit()
        return JobView.of(job)
