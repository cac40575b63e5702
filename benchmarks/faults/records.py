"""What the clients remember of each request, to be held against the database in the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(slots=True)
class Attempt:
    """One request that was sent.

    Attributes:
        sent: Whether there was anybody to send it to.
        status: None where no answer came; what it asked for may have been done, or not, or be done later.
    """

    request_id: str
    sent: bool = False
    status: int | None = None
    body: bytes = b""

    @property
    def acknowledged(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        return self.status is not None and 400 <= self.status < 500

    @property
    def unknown(self) -> bool:
        """Whether nobody knows: an error of the server's is no promise that nothing was done."""
        return self.sent and not self.acknowledged and not self.refused


@dataclass(slots=True)
class Operation:
    """One wish of a client: a request, or several of the same idempotency key.

    Attributes:
        action: Of the history entries that it leaves; "" where it leaves none (a log-in, a sample).
        tasks: Which change, all or none; empty for a creation, whose task nobody knows before.
        changes: What each entry has to tell among others: the new value of fields, as history has it.
        key: The idempotency key, if it has one.
        doomed: Whether it must be refused, and so leave nothing.
        may_be_refused: Whether a refusal is right too, since it is not known what was there.
        may_change_nothing: Whether it may be acknowledged and leave nothing.
        versions: Of its tasks, as acknowledged.
        misuses: Codes of the answers to another body with the same key.
    """

    kind: str
    actor: UUID | None
    action: str = ""
    tasks: tuple[UUID, ...] = ()
    changes: Mapping[str, str | None] = field(default_factory=dict)
    key: str | None = None
    doomed: bool = False
    may_be_refused: bool = False
    may_change_nothing: bool = False
    versions: dict[UUID, int] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    misuses: list[str] = field(default_factory=list)

    @property
    def acknowledged(self) -> bool:
        return any(attempt.acknowledged for attempt in self.attempts)

    def __str__(self) -> str:
        ids = ", ".join(attempt.request_id for attempt in self.attempts)
        return f"{self.kind} ({ids})"


@dataclass(slots=True)
class Sent:
    """A mail that arrived."""

    notice: UUID
    to: str
    at: datetime


@dataclass(slots=True)
class Book:
    """All that is remembered of a run.

    Attributes:
        stale: Reads that did not show what was acknowledged before them.
    """

    operations: list[Operation] = field(default_factory=list)
    mails: list[Sent] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)

    def add(self, operation: Operation) -> Operation:
        self.operations.append(operation)
        return operation

    def attempts(self) -> Iterator[Attempt]:
        for operation in self.operations:
            yield from operation.attempts
