"""Background work: what is to be done, where it stands, and when it is tried again.

::

    pending ──claim──▶ running ──finish──▶ done
       ▲                 │  │
       ├──fail, expire───┤  └──fail, expire with no tries left──▶ dead
       ├──give back──────┘                                          │
       └──retry, by hand────────────────────────────────────────────┘

A claim raises the fence, and only who holds the last fence may end what it claimed: one that was paused
past its lease finds another fence and changes nothing (M. Kleppmann, "How to do distributed locking", 2016).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from taskflow_core.errors import JobNotDead, LeaseLost
from taskflow_core.fields import check_text
from taskflow_core.tasks import check_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from uuid import UUID

    from taskflow_core.queries import Position

TRIES: Final = 16
"""How often something is tried that says nothing else: with the delays below for two hours on average, some
four at most."""
TRIES_MAX: Final = 100
DELAY_MAX: Final = timedelta(days=3650)
"""The longest that new work waits for its time; beyond the year 9999 no time can be told."""
BACK_OFF_BASE: Final = timedelta(seconds=1)
"""The longest delay after the first failure; it doubles with each that follows."""
BACK_OFF_CAP: Final = timedelta(hours=1)
"""The longest delay of all."""
TIME_LIMIT: Final = timedelta(seconds=10)
"""How long one try may take."""
NOTICE_TIME_LIMIT: Final = timedelta(seconds=60)
"""How long a try may take that tells somebody: a mail server may answer late for a mail that it has, and one
that was cut off by then comes twice."""
LEASE: Final = timedelta(seconds=20)
"""For how long a claim is its worker's, who renews it: short, since so long nobody else does the work of one
that died, hangs or was paused."""
KIND_MAX: Final = 100
"""Characters of a kind."""
_KIND: Final = re.compile(r"[A-Za-z0-9]+(?:[._:-][A-Za-z0-9]+)*")
PAYLOAD_MAX: Final = 65_536
"""Bytes of a payload as JSON in UTF-8."""
ERROR_MAX: Final = 500
"""Characters of an error that are kept."""


class JobState(StrEnum):
    """The state of a background job."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"


class JobKind(StrEnum):
    """What TaskFlow itself has to do in the background; embedders add kinds of their own."""

    TASK_OVERDUE = "task.overdue"
    TASK_ASSIGNED = "task.assigned"
    TASK_REASSIGNED = "task.reassigned"
    SECURITY_EVENT = "security.event"
    SAMPLE_REFUND = "sample.refund"
    CLEAN_SESSIONS = "clean_up.sessions"
    CLEAN_KEYS = "clean_up.idempotency_keys"
    CLEAN_LEDGER = "clean_up.ledger"
    CLEAN_TASKS = "clean_up.tasks"
    CLEAN_USERS = "clean_up.users"
    CLEAN_ATTEMPTS = "clean_up.login_attempts"


NOTICE_KINDS: Final = frozenset(
    {JobKind.TASK_OVERDUE, JobKind.TASK_ASSIGNED, JobKind.TASK_REASSIGNED, JobKind.SECURITY_EVENT}
)
"""What tells people. All of it waits for the same mail server."""

TASK_NOTICE_KINDS: Final = NOTICE_KINDS - {JobKind.SECURITY_EVENT}
"""Of these, what is about tasks: anybody who may have tasks can make any number."""

DEAD_KEPT: Final = timedelta(days=30)
"""For how long a dead job of `TASK_NOTICE_KINDS` is kept; of other kinds it is for somebody to decide."""


def back_off(tries: int, chance: float) -> timedelta:
    """Return how long to wait after this many tries that failed: exponential, with full jitter.

    Between nothing and `BACK_OFF_BASE` doubled with each try, `BACK_OFF_CAP` at most (M. Brooker,
    "Exponential Backoff And Jitter", 2015: of the variants, this one makes the fewest calls meet).

    Args:
        tries: How many, from 1.
        chance: From 0 up to but not including 1, each as likely as any other.

    Raises:
        ValueError: There was no try, or the chance is none.
    """
    if tries < 1 or not 0 <= chance < 1:
        raise ValueError("there must be a try, and a chance from 0 up to 1")
    doubled: int = 2 ** min(tries - 1, 32)
    return min(BACK_OFF_BASE * doubled, BACK_OFF_CAP) * chance


def check_kind(value: str | None) -> str | None:
    """Return the kind that is asked for as it is, 1 to 100 characters; None for any.

    Raises:
        ValueError: It is empty or too long, or no text that can be stored.
    """
    return None if value is None else check_text(value, least=1, most=KIND_MAX)


FIELD_RULES: Final[Mapping[str, Callable[[Any], object]]] = {"kind": check_kind, "as_of": check_time}
"""The rule of each field of a question that has one beyond its type; it raises ValueError with a sentence."""


def require_kind(kind: str) -> None:
    """Check the name of a kind of work: letters, digits, and `.`, `_`, `-` or `:` between them.

    Raises:
        ValueError: It is none, or too long.
    """
    if not _KIND.fullmatch(kind) or len(kind) > KIND_MAX:
        raise ValueError(f"not the name of a kind of work: {kind!r:.120}")


def _require_payload(payload: Mapping[str, str]) -> None:
    for text in (*payload, *payload.values()):
        check_text(text, least=0, most=PAYLOAD_MAX)
    if len(json.dumps(payload, ensure_ascii=False).encode()) > PAYLOAD_MAX:
        raise ValueError(f"the payload must be {PAYLOAD_MAX} bytes of JSON at most")


def _plain(error: str) -> str:
    """Return what every store can hold: what a library says of its failure may be anything."""
    return error.encode("utf-8", "replace").decode().replace("\0", "")


@dataclass(slots=True, kw_only=True)
class LedgerEntry:
    """A unit of background work and its rules.

    Attributes:
        kind: Which handler does it, such as "task.overdue".
        subject: What it is about: the id of a task, of a user; None for nothing in particular.
        payload: What else the handler needs to know. It is shown nowhere, but is in the database and its
            backups: no secret in it.
        run_at: When it is due (again); a worker takes it some time after that.
        tries: How often it was claimed, the present time included.
        max_tries: After as many it is dead.
        fence: One more with each claim, and never less.
        lease_until: Until when a running one is its worker's.
        error: Why the last try failed.
        finished_at: When it was done or died.
        request_id: Of the request that caused it.
    """

    id: UUID
    kind: str
    subject: UUID | None
    payload: Mapping[str, str] = field(repr=False)
    created_at: datetime
    run_at: datetime
    max_tries: int = TRIES
    state: JobState = JobState.PENDING
    tries: int = 0
    fence: int = 0
    lease_until: datetime | None = None
    error: str | None = None
    finished_at: datetime | None = None
    request_id: str | None = None

    @classmethod
    def create(
        cls,
        *,
        id: UUID,
        kind: str,
        now: datetime,
        subject: UUID | None = None,
        payload: Mapping[str, str] | None = None,
        max_tries: int = TRIES,
        delay: timedelta = timedelta(),
        request_id: str | None = None,
    ) -> LedgerEntry:
        """Return new work, due `delay` after `now`.

        Raises:
            ValueError: The kind is none (`require_kind`), the payload is more than `PAYLOAD_MAX` or no text
                that can be stored, it is to wait for longer than `DELAY_MAX`, or there are no tries, or too
                many: what could not be claimed would stand in the way of all else.
        """
        require_kind(kind)
        facts = dict(payload or {})
        _require_payload(facts)
        if not -DELAY_MAX <= delay <= DELAY_MAX:
            raise ValueError(f"the delay must be {DELAY_MAX.days} days at most")
        if not 1 <= max_tries <= TRIES_MAX:
            raise ValueError(f"there must be between 1 and {TRIES_MAX} tries")
        return cls(
            id=id, kind=kind, subject=subject, payload=facts, created_at=now,
            run_at=now + delay, max_tries=max_tries, request_id=request_id,
        )  # fmt: skip

    def is_due(self, now: datetime) -> bool:
        """Return whether it may be claimed."""
        return self.state is JobState.PENDING and self.run_at <= now

    def is_expired(self, now: datetime) -> bool:
        """Return whether its worker has had it for too long."""
        return self.state is JobState.RUNNING and self.lease_until is not None and self.lease_until < now

    def claim(self, now: datetime, lease: timedelta = LEASE) -> None:
        """Begin a try."""
        self.state = JobState.RUNNING
        self.tries += 1
        self.fence += 1
        self.lease_until = now + lease

    def require_held(self, fence: int) -> None:
        """Raise `LeaseLost` unless the claim that got this fence still holds."""
        if self.state is not JobState.RUNNING or self.fence != fence:
            raise LeaseLost

    def finish(self, now: datetime) -> None:
        """It is done."""
        self._end(JobState.DONE, now)
        self.error = None

    def fail(self, error: str, now: datetime, chance: float, *, final: bool = False) -> None:
        """End a try that came to nothing: wait for the next, or die where there is none.

        Args:
            error: Why, for people; cut at `ERROR_MAX` characters.
            now: The time.
            chance: See `back_off`.
            final: Whether another try would be of no use.
        """
        self.error = _plain(error)[:ERROR_MAX]
        if final or self.tries >= self.max_tries:
            self._end(JobState.DEAD, now)
        else:
            self._wait(now + back_off(max(self.tries, 1), chance))

    def expire(self, now: datetime, chance: float) -> None:
        """End a try whose worker died or hangs."""
        self.fail("The worker did not finish in time; it died, or it hangs.", now, chance)

    def give_back(self, now: datetime) -> None:
        """Take a try back that its worker has to leave off; the fence stays, so that it cannot go on."""
        self.tries -= 1
        self._wait(now)

    def retry(self, now: datetime) -> None:
        """Begin anew with what is dead, with all its tries.

        Raises:
            JobNotDead: It is not dead.
        """
        self.require_dead()
        self.tries = 0
        self.finished_at = None
        self._wait(now)

    def require_dead(self) -> None:
        """Raise `JobNotDead` unless it is dead: all else takes care of itself."""
        if self.state is not JobState.DEAD:
            raise JobNotDead

    def _wait(self, until: datetime) -> None:
        self.state, self.lease_until, self.run_at = JobState.PENDING, None, until

    def _end(self, state: JobState, now: datetime) -> None:
        self.state, self.lease_until, self.finished_at = state, None, now


@dataclass(frozen=True, slots=True)
class JobView:
    """Background work as queries return it."""

    id: UUID
    kind: str
    subject: UUID | None
    state: JobState
    attempts: int
    max_attempts: int
    run_at: datetime
    error: str | None
    created_at: datetime
    finished_at: datetime | None
    request_id: str | None

    @classmethod
    def of(cls, entry: LedgerEntry) -> JobView:
        """Return the view of an entry that is loaded already."""
        return cls(
            entry.id, entry.kind, entry.subject, entry.state, entry.tries, entry.max_tries, entry.run_at,
            entry.error, entry.created_at, entry.finished_at, entry.request_id,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which background work, the newest first."""

    state: JobState | None = None
    kind: str | None = None
    limit: int = 20
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class KindStats:
    """How work of one kind stands; what is done is not counted, since it is removed after a while.

    Attributes:
        due: Waiting, and due.
        scheduled: Waiting for its time: a try that failed, mostly.
        oldest_due_at: Since when the longest waiting one is due.
    """

    kind: str
    due: int
    scheduled: int
    running: int
    dead: int
    oldest_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class ScanStats:
    """How one of the things stands that schedulers do again and again.

    Attributes:
        due_at: When it is due; long ago where no scheduler runs.
    """

    name: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class JobStats:
    """How all background work stands.

    Attributes:
        kinds: By kind, in the order of their names.
        scans: By scan, in the order of their names.
    """

    kinds: tuple[KindStats, ...] = field(default_factory=tuple)
    scans: tuple[ScanStats, ...] = field(default_factory=tuple)
