"""Background work, for those who look after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from taskflow_core import DeadJobs, JobNotDead, JobQuery, JobState, JobView, NotFound, Permission, Retried
from taskflow_core.queries import LIMIT_DEFAULT
from taskflow_http import job_schemas, parameters, patterns
from taskflow_http.bodies import Body
from taskflow_http.errors import InvalidCursor
from taskflow_http.idempotency import done_once
from taskflow_http.operations import Operation, Services
from taskflow_http.parameters import Parameter
from taskflow_http.replies import Reply, json_reply
from taskflow_http.routes.answers import page

if TYPE_CHECKING:
    from uuid import UUID

    from taskflow_core import Actor
    from taskflow_http.calls import Call

log: Final = structlog.get_logger("taskflow_http")


async def list_jobs(call: Call, services: Services) -> Reply:
    """List jobs, a page at a time."""
    return await _list(call.query.values, call, services)


async def list_dead_jobs(call: Call, services: Services) -> Reply:
    """List dead jobs, a page at a time."""
    return await _list(call.query.values | {"state": JobState.DEAD}, call, services)


async def count_jobs(call: Call, services: Services) -> Reply:
    """Count jobs."""
    return json_reply(job_schemas.JobStats.of(await services.use_cases.count_jobs(call.actor)))


async def find_job(call: Call, services: Services) -> Reply:
    """Read a job."""
    return _job_reply(await services.use_cases.find_job(call.id, call.actor))


async def retry_job(call: Call, services: Services) -> Reply:
    """Give a dead job its tries again."""

    async def retry(job_id: UUID, actor: Actor) -> JobView:
        job = await services.use_cases.retry_job(job_id, actor)
        _log("job retried", job, actor)
        return job

    return await done_once(call, retry, call.id, _job_reply)


async def retry_jobs(call: Call, services: Services) -> Reply:
    """Give all dead jobs of a kind their tries again."""
    body: job_schemas.DeadJobs = call.body

    async def retry(command: DeadJobs, actor: Actor) -> Retried:
        retried = await services.use_cases.retry_jobs(command, actor)
        log.info("jobs retried", kind=command.kind, number=retried.number, user=str(actor.id))
        return retried

    return await done_once(call, retry, body.command(), _retried_reply)


async def discard_job(call: Call, services: Services) -> Reply:
    """Give a dead job up."""
    _log("job discarded", await services.use_cases.discard_job(call.id, call.actor), call.actor)
    return Reply(204)


def _log(event: str, job: JobView, actor: Actor) -> None:
    """Log who decided on which job: once it is gone nothing else tells of it."""
    subject = str(job.subject) if job.subject else None
    log.info(event, job_id=str(job.id), kind=job.kind, subject=subject, user=str(actor.id))


async def _list(values: dict[str, Any], call: Call, services: Services) -> Reply:
    state, kind, cursor = (values.get(name) for name in ("state", "kind", "cursor"))
    told = ("jobs", state, kind)
    after = None if cursor is None else services.cursors.open(cursor, told)
    query = JobQuery(state=state, kind=kind, limit=values.get("limit", LIMIT_DEFAULT), after=after)
    listed = await services.use_cases.list_jobs(query, call.actor)
    following = None if listed.next is None else services.cursors.seal(listed.next, told)
    return page(job_schemas.JobPage([job_schemas.Job.of(view) for view in listed.items], following), call)


def _job_reply(view: JobView) -> Reply:
    return json_reply(job_schemas.Job.of(view))


def _retried_reply(retried: Retried) -> Reply:
    return json_reply(job_schemas.RetriedJobs.of(retried))


_KIND: Final = Parameter(
    "kind", "kind", str, {"type": "string"} | patterns.JOB_KIND, "Only jobs of this kind."
)
_PAGED: Final = (_KIND, parameters.LIMIT, parameters.CURSOR)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/jobs",
        name="listJobs",
        tag="jobs",
        summary="List jobs",
        description="Newest first. Done jobs are kept for 7 days, dead ones until they are discarded.",
        handler=list_jobs,
        permission=Permission.SEE_JOBS,
        parameters=parameters.named(
            (parameters.enumeration("state", JobState, "Only jobs in this state."), *_PAGED)
        ),
        answer=job_schemas.JobPage,
        headers=("Link",),
        errors=(InvalidCursor,),
    ),
    Operation(
        method="GET",
        path="/jobs/dead",
        name="listDeadJobs",
        tag="jobs",
        summary="List dead jobs",
        description="Jobs that failed in every attempt, or permanently; newest first.",
        handler=list_dead_jobs,
        permission=Permission.SEE_JOBS,
        parameters=parameters.named(_PAGED),
        answer=job_schemas.JobPage,
        headers=("Link",),
        errors=(InvalidCursor,),
    ),
    Operation(
        method="GET",
        path="/jobs/stats",
        name="countJobs",
        tag="jobs",
        summary="Count jobs by kind",
        description="Jobs that are not done, and when each periodic scan for work is due.",
        handler=count_jobs,
        permission=Permission.SEE_JOBS,
        answer=job_schemas.JobStats,
    ),
    Operation(
        method="GET",
        path="/jobs/{id}",
        name="findJob",
        tag="jobs",
        summary="Get a job",
        description="A job in any state.",
        handler=find_job,
        permission=Permission.SEE_JOBS,
        answer=job_schemas.Job,
        errors=(NotFound,),
    ),
    Operation(
        method="POST",
        path="/jobs/{id}/retry",
        name="retryJob",
        tag="jobs",
        summary="Retry a dead job",
        description="It is due at once, with all its attempts again.",
        handler=retry_job,
        permission=Permission.STEER_JOBS,
        idempotent_by_key=True,
        answer=job_schemas.Job,
        errors=(NotFound, JobNotDead),
    ),
    Operation(
        method="POST",
        path="/jobs/dead/retry",
        name="retryJobs",
        tag="jobs",
        summary="Retry all dead jobs of a kind",
        description=(
            "The 1,000 that have been dead for the longest time. While `next` is not null, send it as the "
            "next body. This ends: a job that becomes dead again in the meantime is not retried."
        ),
        handler=retry_jobs,
        permission=Permission.STEER_JOBS,
        idempotent_by_key=True,
        body=Body(job_schemas.DeadJobs, example={"kind": "task.overdue"}),
        answer=job_schemas.RetriedJobs,
    ),
    Operation(
        method="DELETE",
        path="/jobs/{id}",
        name="discardJob",
        tag="jobs",
        summary="Discard a dead job",
        description="It is removed permanently.",
        handler=discard_job,
        permission=Permission.STEER_JOBS,
        status=204,
        errors=(NotFound, JobNotDead),
    ),
)
