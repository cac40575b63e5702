"""`taskflow jobs`: what is done in the background, and help for what is dead."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import click

from taskflow_cli import options, watching
from taskflow_cli.errors import INCOMPLETE
from taskflow_cli.listing import Listing, amount
from taskflow_cli.session import Session, with_session
from taskflow_cli.tables import BELOW, CUT, FOLD, WHOLE
from taskflow_cli.watching import View
from taskflow_core import (
    Actor,
    BatchResult,
    DeadJobs,
    JobNotDead,
    JobQuery,
    JobState,
    JobView,
    NotFound,
    Sample,
)
from taskflow_core.ledger import TRIES_MAX
from taskflow_core.use_cases.ledger.sample import SAMPLE_TRIES
from taskflow_http import job_schemas, problems, schemas

_COLUMNS = {
    "ID": BELOW,
    "Kind": FOLD,
    "State": WHOLE,
    "Tries": WHOLE,
    "Due/ended": FOLD,
    "Error": CUT,
}
_STATS = {
    "Kind": FOLD,
    "Due": WHOLE,
    "Scheduled": WHOLE,
    "Running": WHOLE,
    "Dead": WHOLE,
    "Oldest due": FOLD,
}


@click.group()
def jobs() -> None:
    """See what is done in the background, and help what is dead.

    Acts as the operator, who may do all, or as a person with --as: an admin.
    """


@jobs.command("list")
@click.option("--state", type=click.Choice(JobState, case_sensitive=False), help="Only these.")
@click.option("--dead", is_flag=True, help="The same as --state dead.")
@click.option("--kind", help="Only these, such as task.overdue.")
@amount
@watching.option
@with_session
async def list_(session: Session, limit: int | None, watch: bool, **chosen: Any) -> None:
    """List jobs, newest first."""
    query = _query(**chosen)
    listing = Listing(session.do.list_jobs, session.actor, limit)

    async def look() -> View:
        found = [job async for job in listing.items(query)]
        document = {"data": [job_schemas.Job.of(job) for job in found], "more": listing.more}
        return View(document, _COLUMNS, [_row(job) for job in found], "No jobs.")

    await watching.show(session.out, look, watch=watch)
    if not session.out.as_json:
        listing.tell_more()


def _query(state: JobState | None, dead: bool, kind: str | None) -> JobQuery:
    if dead and state is not None:
        raise click.UsageError("--dead and --state exclude each other.")
    return JobQuery(state=JobState.DEAD if dead else state, kind=kind)


@jobs.command()
@click.argument("job_id", type=click.UUID, metavar="ID")
@with_session
async def show(session: Session, job_id: UUID) -> None:
    """Show one job."""
    session.out.record(job_schemas.Job.of(await session.do.find_job(job_id, session.actor)))


@jobs.command()
@watching.option
@with_session
async def stats(session: Session, watch: bool) -> None:
    """Count the jobs that are not done, by kind."""

    async def look() -> View:
        found = job_schemas.JobStats.of(await session.do.count_jobs(session.actor))
        rows = [
            (kind.kind, kind.due, kind.scheduled, kind.running, kind.dead, kind.oldest_due_at)
            for kind in found.kinds
        ]
        return View(found, _STATS, rows, "Nothing is to be done.")

    await watching.show(session.out, look, watch=watch)


@jobs.command()
@click.argument("job_ids", type=click.UUID, metavar="[ID]...", nargs=-1)
@click.option("--all-of", "kind", metavar="KIND", help="All that are dead of this kind.")
@options.yes
@with_session
async def retry(session: Session, job_ids: tuple[UUID, ...], kind: str | None, yes: bool) -> None:
    """Give dead jobs all their tries again: these, or all of a kind."""
    if bool(job_ids) == (kind is not None):
        raise click.UsageError("Give the ids of jobs, or --all-of.")
    if kind is not None:
        retried = await _retry_all(session, kind, yes=yes)
        if session.out.as_json:
            session.out.json({"retried": retried})
        session.out.say(f"{retried} jobs are tried again.")
    elif len(set(job_ids)) == 1:
        session.out.record(job_schemas.Job.of(await session.do.retry_job(job_ids[0], session.actor)))
    else:
        options.confirm(f"Try {len(set(job_ids))} dead jobs again?", yes=yes)
        done = await _each(session, job_ids, session.do.retry_job)
        _tell(session, done, "are tried again")


async def _retry_all(session: Session, kind: str, *, yes: bool) -> int:
    counted = await session.do.count_jobs(session.actor)
    dead = sum(stats.dead for stats in counted.kinds if stats.kind == kind)
    if dead > 1:
        options.confirm(f"Try {dead} dead jobs of kind {kind} again?", yes=yes)
    retried, left = 0, DeadJobs(kind) if dead else None
    while left is not None:
        step = await session.do.retry_jobs(left, session.actor)
        retried, left = retried + step.number, step.next
    return retried


@jobs.command()
@click.argument("job_ids", type=click.UUID, metavar="ID...", nargs=-1, required=True)
@options.yes
@with_session
async def discard(session: Session, job_ids: tuple[UUID, ...], yes: bool) -> None:
    """Remove dead jobs for good."""
    if len(set(job_ids)) == 1:
        await session.do.discard_job(job_ids[0], session.actor)
        session.out.say(f"Discarded {job_ids[0]}.")
    else:
        options.confirm(f"Discard {len(set(job_ids))} dead jobs?", yes=yes)
        _tell(session, await _each(session, job_ids, session.do.discard_job), "were discarded")


async def _each(
    session: Session, ids: tuple[UUID, ...], do: Callable[[UUID, Actor], Awaitable[object]]
) -> list[BatchResult]:
    """Do it to each by itself; what is not there, or not dead, keeps none of the others."""
    results = []
    for id in dict.fromkeys(ids):
        try:
            await do(id, session.actor)
            results.append(BatchResult(id))
        except (NotFound, JobNotDead) as error:
            results.append(BatchResult(id, error))
    return results


def _tell(session: Session, results: list[BatchResult], done: str) -> None:
    failed = [result for result in results if result.error is not None]
    succeeded = len(results) - len(failed)
    if session.out.as_json:
        outcomes = [problems.outcome(result) for result in results]
        session.out.json(schemas.BatchAnswer(outcomes, succeeded=succeeded, failed=len(failed)))
    else:
        session.out.say(f"{succeeded} jobs {done}.")
        for result in failed:
            click.echo(f"{result.id}  {result.error}", err=True)
    if failed:
        sys.exit(INCOMPLETE)


@jobs.command()
@click.option(
    "--fail",
    type=click.IntRange(0, TRIES_MAX),
    default=0,
    show_default=True,
    help="How many tries are to fail, those before a retry by hand included.",
)
@click.option(
    "--tries",
    type=click.IntRange(1, TRIES_MAX),
    default=SAMPLE_TRIES,
    show_default=True,
    help="After how many it is dead.",
)
@click.option("--count", type=click.IntRange(1, 10_000), help="Make so many.  [default: 1]")
@with_session
async def sample(session: Session, fail: int, tries: int, count: int | None) -> None:
    """Make a demonstration job, to watch how it is tried again, or dies.

    It stands for a refund that a bank does not answer. Watch it: taskflow jobs list --watch
    """
    command = Sample(fail=fail, max_tries=tries)
    made = [await session.do.add_sample(command, session.actor) for _ in range(count or 1)]
    if count is None:
        session.out.record(job_schemas.Job.of(made[0]))
    elif session.out.as_json:
        session.out.json({"data": [job_schemas.Job.of(job) for job in made]})
    else:
        session.out.say(f"{len(made)} jobs made.")


def _row(job: JobView) -> tuple[object, ...]:
    tries = f"{job.attempts}/{job.max_attempts}"
    return job.id, job.kind, job.state, tries, job.finished_at or job.run_at, job.error
