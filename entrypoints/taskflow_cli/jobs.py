"""`taskflow jobs`: what is done in the background, and help for what is dead."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click

from taskflow_cli import options, watching
from taskflow_cli.listing import Listing
from taskflow_cli.session import Session, with_session
from taskflow_cli.watching import View
from taskflow_core import JobQuery, JobState, JobView, Sample
from taskflow_core.ledger import TRIES_MAX
from taskflow_core.queries import LIMIT_DEFAULT
from taskflow_core.use_cases.ledger.sample import SAMPLE_TRIES
from taskflow_http import job_schemas

_COLUMNS = ("ID", "Kind", "State", "Tries", "Due", "Subject ID", "Request ID", "Error")
_STATS = ("Kind", "Due", "Scheduled", "Running", "Dead", "Oldest due")
_job = click.argument("job_id", type=click.UUID, metavar="ID")


@click.group()
def jobs() -> None:
    """See what is done in the background, and help what is dead.

    Acts as the operator, who may do all, or as a person with --as: an admin.
    """


@jobs.command("list")
@click.option("--state", type=click.Choice(JobState, case_sensitive=False), help="Only these.")
@click.option("--dead", is_flag=True, help="The same as --state dead.")
@click.option("--kind", help="Only these, such as task.overdue.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=LIMIT_DEFAULT, show_default=True, help="The most to list."
)
@click.option("--all", "everything", is_flag=True, help="All of them.")
@watching.option
@with_session
async def list_(session: Session, limit: int, everything: bool, watch: bool, **chosen: Any) -> None:
    """List jobs, newest first."""
    query = _query(**chosen)
    listing = Listing(session.do.list_jobs, session.actor, None if everything else limit)

    async def look() -> View:
        found = [job async for job in listing.items(query)]
        document = {"data": [job_schemas.Job.of(job) for job in found], "more": listing.more}
        return View(document, _COLUMNS, [_row(job) for job in found], "No jobs.")

    await watching.show(session.out, look, watch=watch)
    if listing.more and not session.out.as_json:
        click.echo(f"… and more: --limit {limit * 5}, or --all", err=True)


def _query(state: JobState | None, dead: bool, kind: str | None) -> JobQuery:
    if dead and state not in {None, JobState.DEAD}:
        raise click.UsageError("--dead and --state exclude each other.")
    return JobQuery(state=JobState.DEAD if dead else state, kind=kind)


@jobs.command()
@_job
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
@click.argument("job_id", type=click.UUID, metavar="[ID]", required=False)
@click.option("--all-of", "kind", metavar="KIND", help="All that are dead of this kind.")
@options.yes
@with_session
async def retry(session: Session, job_id: UUID | None, kind: str | None, yes: bool) -> None:
    """Give a dead job all its tries again, or all dead ones of a kind."""
    if (job_id is None) == (kind is None):
        raise click.UsageError("Give the id of a job, or --all-of.")
    if job_id is not None:
        session.out.record(job_schemas.Job.of(await session.do.retry_job(job_id, session.actor)))
    elif kind is not None:
        retried = await _retry_all(session, kind, yes=yes)
        if session.out.as_json:
            session.out.json({"retried": retried})
        session.out.say(f"{retried} jobs are tried again.")


async def _retry_all(session: Session, kind: str, *, yes: bool) -> int:
    counted = await session.do.count_jobs(session.actor)
    dead = sum(stats.dead for stats in counted.kinds if stats.kind == kind)
    if dead > 1:
        options.confirm(f"Try {dead} dead jobs of kind {kind} again?", yes=yes)
    retried, more = 0, dead > 0
    # Those that die again meanwhile are not tried a second time: it would never end.
    while more and retried < dead:
        step = await session.do.retry_jobs(kind, session.actor)
        retried, more = retried + step.number, step.more
    return retried


@jobs.command()
@_job
@with_session
async def discard(session: Session, job_id: UUID) -> None:
    """Remove a dead job for good."""
    await session.do.discard_job(job_id, session.actor)
    session.out.say(f"Discarded {job_id}.")


@jobs.command()
@click.option("--fail", default=0, show_default=True, help=f"How many tries are to fail, up to {TRIES_MAX}.")
@click.option("--tries", default=SAMPLE_TRIES, show_default=True, help="After how many it is dead.")
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
    tries = f"{job.attempts} of {job.max_attempts}"
    return job.id, job.kind, job.state, tries, job.run_at, job.subject, job.request_id, job.error
