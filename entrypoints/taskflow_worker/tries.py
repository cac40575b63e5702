"""Logs how each try ended, with the request that caused the job."""

from __future__ import annotations

from typing import Final

import structlog

from taskflow_core import TaskFlowError
from taskflow_core.use_cases.ledger.run import Outcome, Ran

log: Final = structlog.get_logger("taskflow_worker")

REASON_MAX: Final = 300
"""Characters."""


def tell(ran: Ran, seconds: float | None = None) -> None:
    """Log a try that took so long, its claim included; None where its worker left it, or it has not ended."""
    told = {
        "job_id": str(ran.job.id),
        "kind": ran.job.kind,
        "subject": str(ran.job.subject) if ran.job.subject else None,
        "tries": ran.job.tries,
        "request_id": ran.job.request_id,
        "duration_ms": None if seconds is None else round(1000 * seconds, 1),
    }
    match ran.outcome:
        case Outcome.DONE:
            log.info("job done", **told, **({} if ran.note is None else {"note": ran.note}))
        case Outcome.FAILED:
            retry_at = ran.after.run_at.isoformat() if ran.after else None
            log.warning("job failed", **told, error=ran.error, retry_at=retry_at)
        case Outcome.DIED:
            log.error("job died", **told, error=ran.error)
        case Outcome.LOST:
            log.warning("job lost", **told, error=ran.error)
        case Outcome.GIVEN_BACK:
            log.warning("job given back", **told)
        case Outcome.STUCK:
            log.critical("job stuck: it goes on although it was cancelled", **told)


def reason_of(error: BaseException) -> str | None:
    """Return what of a library is behind this error, in a line: its class and what it says.

    It may name a user or a host, and an operator needs that; passwords are hidden by the log's redaction.
    """
    cause = error.__cause__
    while isinstance(cause, TaskFlowError):
        cause = cause.__cause__
    if cause is None:
        return None
    said = str(cause).strip().partition("\n")[0]
    return f"{type(cause).__name__}: {said}".removesuffix(": ")[:REASON_MAX]
