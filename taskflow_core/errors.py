"""Every error that TaskFlow raises on purpose, each with a stable code.

::

    TaskFlowError
    ├── InvalidInput            invalid              what was given breaks rules; names every fault
    │   └── UnknownOwner        invalid              a task is to belong to nobody
    ├── Unauthenticated         unauthenticated      who asks is not known
    │   ├── InvalidCredentials  invalid_credentials  wrong email or password
    │   └── RefreshReused       refresh_reused       a refresh token came back long after it was replaced
    ├── Forbidden               forbidden            known, but may not
    ├── NotFound                not_found            is not there, or must not be seen
    ├── Conflict                conflict             the present state does not allow it
    │   ├── EmailTaken          email_taken
    │   ├── InvalidTransition   invalid_transition
    │   ├── LastAdmin           last_admin
    │   ├── QuotaExceeded       quota_exceeded
    │   ├── BatchFailed         batch_failed         an atomic batch that changed nothing
    │   ├── JobNotDead          job_not_dead         only a dead job can be retried or discarded
    │   ├── LeaseLost           lease_lost           a worker was too late: the job is another's
    │   └── RequestInProgress   request_in_progress  one with the same idempotency key is under way
    ├── KeyReused               idempotency_key_reused  the key was another request's
    ├── Undeliverable           undeliverable        a notice was refused for good
    │   └── Unaddressable       unaddressable        to no such address can a notice be sent
    ├── VersionMismatch         version_mismatch     changed since the caller read it
    ├── RateLimited             rate_limited         too many requests
    │   └── TooManyAttempts     too_many_attempts    too many failed log-ins of one account
    └── Unavailable             unavailable          a dependency cannot serve this now
        ├── Contention          contention           lost a race for locks; nothing was changed
        ├── Overloaded          overloaded           too much waits already
        └── DeadlineExceeded    deadline_exceeded    it took longer than a statement may

The code, not the class name, is what clients may rely on. A detail is for people: it never
holds SQL, a stack, a host name or a secret.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with an input.

    Attributes:
        path: Where, as names and indexes from the outside in; empty for the whole input.
        detail: What is wrong, as a sentence without the offending value.
    """

    path: tuple[str | int, ...]
    detail: str


class TaskFlowError(Exception):
    """The root of the tree; raised only as one of its subclasses."""

    code: ClassVar[str] = "error"
    default_detail: ClassVar[str] = "Something went wrong."

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or self.default_detail
        super().__init__(self.detail)


class InvalidInput(TaskFlowError):
    """What was given breaks one rule or several; `faults` names all of them."""

    code = "invalid"
    default_detail = "The input is not valid."

    def __init__(self, faults: Iterable[Fault], detail: str | None = None) -> None:
        super().__init__(detail)
        self.faults: tuple[Fault, ...] = tuple(faults)

    def __str__(self) -> str:
        """Return the detail and every fault with its path."""
        listed = "; ".join(f"{'.'.join(map(str, f.path)) or 'input'}: {f.detail}" for f in self.faults)
        return f"{self.detail} {listed}".strip()


class UnknownOwner(InvalidInput):
    """A task is to belong to a user that does not exist (any more)."""

    def __init__(self) -> None:
        super().__init__([Fault(("user_id",), "must be a user that exists")])


class Unauthenticated(TaskFlowError):
    """Nobody, or somebody who cannot be believed, asks."""

    code = "unauthenticated"
    default_detail = "Authentication is required."


class InvalidCredentials(Unauthenticated):
    """The email and password do not open an account; which of the two is not told."""

    code = "invalid_credentials"
    default_detail = "The email or the password is wrong."


class RefreshReused(Unauthenticated):
    """The token was replaced too long ago to be an accident: it was copied, and the session has ended."""

    code = "refresh_reused"
    default_detail = "This refresh token was used before. To be safe the session has ended; sign in again."


class Forbidden(TaskFlowError):
    """The caller may see this but not do that."""

    code = "forbidden"
    default_detail = "You may not do this."


class NotFound(TaskFlowError):
    """It does not exist, or the caller may not know that it does: the answer is the same."""

    code = "not_found"
    default_detail = "It does not exist, or you may not see it."


class Conflict(TaskFlowError):
    """The present state does not allow the change."""

    code = "conflict"
    default_detail = "The present state does not allow this."


class EmailTaken(Conflict):
    """Another live account has this email, in whatever letter case."""

    code = "email_taken"
    default_detail = "This email belongs to an account already."


class InvalidTransition(Conflict):
    """A closed task cannot become the other kind of closed."""

    code = "invalid_transition"
    default_detail = "The status cannot change like this."


class LastAdmin(Conflict):
    """Somebody must be able to administer: the last active admin stays one."""

    code = "last_admin"
    default_detail = (
        "The last active admin cannot be demoted, deactivated or deleted. Make another user an admin first."
    )


class QuotaExceeded(Conflict):
    """The account would have more tasks, or more bytes of text, than its quota allows."""

    code = "quota_exceeded"
    default_detail = "The owner's quota of tasks or of bytes would be exceeded. Shorter texts need less."


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of one item of a batch: done where `error` is None."""

    id: UUID
    error: TaskFlowError | None = None


class BatchFailed(Conflict):
    """An atomic batch in which an item could not be done; nothing was changed.

    Attributes:
        results: One for each distinct item, in the order given. Those without an error would have been done.
    """

    code = "batch_failed"
    default_detail = "Not every item could be done, so nothing was changed."

    def __init__(self, results: Sequence[BatchResult]) -> None:
        super().__init__()
        self.results = tuple(results)


class JobNotDead(Conflict):
    """Only what is dead needs a hand: all other background work takes care of itself."""

    code = "job_not_dead"
    default_detail = "Only a dead job can be retried or discarded."


class LeaseLost(Conflict):
    """A worker took longer than its lease, so the job is another's (or done); nothing was changed."""

    code = "lease_lost"
    default_detail = "The job is not this worker's any more."


class RequestInProgress(Conflict):
    """A request with the same idempotency key has been under way for longer than one waits."""

    code = "request_in_progress"
    default_detail = "A request with this idempotency key is under way; try again."


class KeyReused(TaskFlowError):
    """The idempotency key belongs to another request of the same caller."""

    code = "idempotency_key_reused"
    default_detail = "This idempotency key was used for another request; take a new one."


class Undeliverable(TaskFlowError):
    """A notice was refused, and would be however often it were sent."""

    code = "undeliverable"
    default_detail = "The notice was refused for good."


class Unaddressable(Undeliverable):
    """No notice can be sent to such an address, whoever is asked to deliver it."""

    code = "unaddressable"
    default_detail = "No notice can be sent to such an address."


class VersionMismatch(TaskFlowError):
    """It has changed since the caller read it (HTTP: `If-Match`, RFC 9110 section 13.1.1)."""

    code = "version_mismatch"
    default_detail = "It has changed since you read it; read it again."


class RateLimited(TaskFlowError):
    """Too many requests (RFC 6585 section 4).

    Attributes:
        retry_after: Seconds until one may pass again, rounded up.
    """

    code = "rate_limited"
    default_detail = "Too many requests; wait a little."

    def __init__(self, retry_after: float, detail: str | None = None) -> None:
        super().__init__(detail)
        self.retry_after = max(1, math.ceil(retry_after))


class TooManyAttempts(RateLimited):
    """Log-ins to this account failed so often that the next try has to wait."""

    code = "too_many_attempts"
    default_detail = "Too many failed attempts; wait before the next."


class Unavailable(TaskFlowError):
    """A dependency cannot serve this now; trying again later may succeed.

    Attributes:
        retry_after: Seconds after which trying again makes sense.
    """

    code = "unavailable"
    default_detail = "A service that this needs cannot be reached now."

    def __init__(self, detail: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Contention(Unavailable):
    """It lost a race for locks and was taken back whole; the same command may be given again at once."""

    code = "contention"
    default_detail = "Others change the same things right now; try again."


class Overloaded(Unavailable):
    """Too much waits for the same scarce thing already."""

    code = "overloaded"
    default_detail = "Too many requests wait for this already."


class DeadlineExceeded(Unavailable):
    """The question took longer than one may take; a narrower one may succeed."""

    code = "deadline_exceeded"
    default_detail = "This took too long and was stopped; ask for less."
