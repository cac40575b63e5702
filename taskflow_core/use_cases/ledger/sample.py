"""A demonstration: refunds that can be told to fail, so that tries and death can be watched."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from taskflow_core.errors import Unavailable
from taskflow_core.fields import check_fields
from taskflow_core.ledger import TRIES_MAX, JobKind, JobView, LedgerEntry
from taskflow_core.permissions import Actor, Permission

if TYPE_CHECKING:
    from uuid import UUID

    from taskflow_core.ports.persistence import Transaction, Transactions
    from taskflow_core.ports.time import Clock, Ids
    from taskflow_core.use_cases.ledger.run import Effect

SAMPLE_TRIES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the demonstration is to do.

    Attributes:
        fail: How many of its tries are to fail, from 0 to 100. All are counted: those before a retry by hand,
            and those that a worker gave back.
        max_tries: After how many it dies, from 1 to 100.
    """

    fail: int = 0
    max_tries: int = SAMPLE_TRIES


def check_fail(value: int) -> int:
    """Return how many tries are to fail, 0 to 100.

    Raises:
        ValueError: It is not.
    """
    if not 0 <= value <= TRIES_MAX:
        raise ValueError(f"must be between 0 and {TRIES_MAX}")
    return value


def check_max_tries(value: int) -> int:
    """Return how many tries there are, 1 to 100.

    Raises:
        ValueError: It is not.
    """
    if not 1 <= value <= TRIES_MAX:
        raise ValueError(f"must be between 1 and {TRIES_MAX}")
    return value


@dataclass(frozen=True, slots=True)
class AddSample:
    """Make a demonstration job."""

    transactions: Transactions
    clock: Clock
    ids: Ids

    async def __call__(self, command: Sample, actor: Actor) -> JobView:
        """Return the job as it was made.

        Raises:
            Forbidden: Without the permission to steer jobs.
            InvalidInput: A number is out of bounds.
        """
        actor.require(Permission.STEER_JOBS)
        rules = {"fail": check_fail, "max_tries": check_max_tries}
        check_fields(rules, {"fail": command.fail, "max_tries": command.max_tries})
        now = self.clock()
        job = LedgerEntry.create(
            id=self.ids(now), kind=JobKind.SAMPLE_REFUND, now=now, max_tries=command.max_tries,
            payload={"fail": str(command.fail)}, request_id=actor.request_id,
        )  # fmt: skip
        async with self.transactions() as transaction:
            transaction.ledger.add(job)
            await transaction.commit()
        return JobView.of(job)


class RefundSample:
    """Handles the demonstration: fails as often as it was told, then notes a refund."""

    async def __call__(self, job: LedgerEntry) -> Effect | None:
        """Return the refund.

        Raises:
            Unavailable: As often as it was told.
        """
        # `tries` begins anew with a retry by hand, which could then never help.
        if job.fence <= int(job.payload["fail"]):
            raise Unavailable(f"The bank did not answer (try {job.fence} of this sample was told to fail).")
        return partial(_refund, job.id)


async def _refund(job_id: UUID, transaction: Transaction) -> None:
    transaction.samples.refund(job_id)
