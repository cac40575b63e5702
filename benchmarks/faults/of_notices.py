"""Whether everybody was told what there was to tell, and of each thing by one id."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID, uuid5

from benchmarks.faults.findings import Finding, broken, doubled, lost
from benchmarks.faults.of_jobs import is_assignment, jobs_of_subject
from benchmarks.faults.records import Book
from benchmarks.faults.snapshot import EntryRow, JobRow, Snapshot
from taskflow_core import JobKind, Status
from taskflow_core.use_cases.ledger.tell import _OVERDUE as NAMESPACE

FRESH: Final = timedelta(seconds=5)
"""What fell overdue so shortly before the end need not be told yet."""
COMMITTED_WITHIN: Final = timedelta(seconds=15)
"""So long after the time in history a change may have become visible; a request takes 10 s at most."""

Spell: TypeAlias = "tuple[UUID, str]"
"""A task and one of its due dates, as text."""


class Stretch(NamedTuple):
    """A time for which a task stood as it stood."""

    begins: datetime
    ends: datetime
    status: str
    due: str | None
    owner: UUID
    deleted: bool
    last: bool

    @property
    def waits(self) -> bool:
        """Whether it can be overdue."""
        return self.due is not None and not self.deleted and Status(self.status).is_open


@dataclass(slots=True)
class Notices:
    """How the mails add up.

    Attributes:
        owed: Tasks and due dates that must have been told.
        told: Those that were, with how often; some of them need not have been.
        twice: Ids that came more than once.
    """

    mails: int = 0
    owed: set[Spell] = field(default_factory=set)
    told: Counter[Spell] = field(default_factory=Counter)
    twice: int = 0
    findings: list[Finding] = field(default_factory=list)


def of_notices(book: Book, found: Snapshot) -> Notices:
    """Hold the mails against history and ledger."""
    notices = Notices(mails=len(book.mails))
    times = Counter(mail.notice for mail in book.mails)
    notices.twice = sum(number > 1 for number in times.values())
    possible = _weigh(found, notices)
    overdue = {notice_id(spell): spell for spell in possible}
    notices.told = Counter({overdue[id]: number for id, number in times.items() if id in overdue})
    notices.findings += [
        *_of_overdue(found, notices, possible),
        *_of_recipients(book, found, overdue),
        *_of_jobs(found, times),
    ]
    return notices


def notice_id(spell: Spell) -> UUID:
    """Return the id of the notice that a task is overdue."""
    return uuid5(NAMESPACE, f"{spell[0]} {spell[1]}")


def _weigh(found: Snapshot, notices: Notices) -> dict[Spell, bool]:
    """Return every due date that a task ever had, with whether it may have been told; note what must."""
    possible: dict[Spell, bool] = {}
    for id, entries in found.history.items():
        waiting: dict[Spell, list[Stretch]] = defaultdict(list)
        for each in stretches(entries, found.at):
            if each.due is not None:
                spell = (id, each.due)
                possible.setdefault(spell, False)
                if each.waits and _time(each.due) <= each.ends + COMMITTED_WITHIN:
                    possible[spell] = True
                    waiting[spell].append(each)
        for spell, some in waiting.items():
            now_overdue = some[-1].last and _time(spell[1]) < found.at - FRESH
            if now_overdue and all(each.owner in found.told for each in some):
                notices.owed.add(spell)
    return possible


def stretches(entries: list[EntryRow], until: datetime) -> Iterator[Stretch]:
    """Yield how a task stood from each step to the next."""
    state: dict[str, str | None] = {}
    deleted = False
    for index, entry in enumerate(entries):
        state |= {name: after for name, (_, after) in entry.changes.items()}
        deleted = (deleted or entry.action == "deleted") and entry.action != "restored"
        last = index == len(entries) - 1
        yield Stretch(
            entry.at, until if last else entries[index + 1].at, str(state["status"]), state.get("due_date"),
            UUID(state["user_id"]), deleted, last,
        )  # fmt: skip


def _of_overdue(found: Snapshot, notices: Notices, possible: Mapping[Spell, bool]) -> Iterator[Finding]:
    jobs = jobs_of_subject(found, JobKind.TASK_OVERDUE)
    for spell in notices.owed - notices.told.keys():
        of_it = [str(job) for job in jobs.get(spell[0], []) if job.payload["due_date"] == spell[1]]
        if not any(" is dead" in job for job in of_it):
            yield lost(f"nobody was told that task {spell[0]} was due at {spell[1]}; jobs: {of_it}")
    for spell, number in notices.told.items():
        if not possible[spell]:
            yield broken(f"it was told that task {spell[0]} was due at {spell[1]}, and never overdue then")
        tries = [job.fence for job in jobs.get(spell[0], []) if job.payload["due_date"] == spell[1]]
        # One job tells. Another was there only where the last try of that one told nobody.
        if number > sum(tries) - len(tries[1:]):
            counted = f"{number} mails of {sum(tries)} tries in {len(tries)} jobs"
            yield doubled(f"task {spell[0]}, due at {spell[1]}: {counted}")


def _of_recipients(book: Book, found: Snapshot, overdue: Mapping[UUID, Spell]) -> Iterator[Finding]:
    opted = set(found.told.values())
    for mail in book.mails:
        job = found.jobs.get(mail.notice)
        if mail.notice not in overdue and job is None:
            yield doubled(f"a mail with id {mail.notice}, which is nothing's")
        elif mail.to not in opted and (job is None or job.kind != JobKind.SECURITY_EVENT):
            yield broken(f"{mail.to} was told, who does not want to be ({mail.notice})")


def _of_jobs(found: Snapshot, times: Counter[UUID]) -> Iterator[Finding]:
    """Yield what is wrong with mails whose id is their job's."""
    last = {id: _last_assignment(entries, found.at) for id, entries in found.history.items()}
    for job in found.jobs.values():
        if job.kind not in (JobKind.TASK_ASSIGNED, JobKind.SECURITY_EVENT):
            continue
        if times[job.id] > job.fence:
            yield doubled(f"job {job}: {times[job.id]} mails of {job.fence} tries")
        if job.state == "done" and not times[job.id] and _is_owed(job, last, found):
            yield lost(f"job {job}, and nobody was told")


def _is_owed(job: JobRow, last: Mapping[UUID, EntryRow | None], found: Snapshot) -> bool:
    """Return whether it must have been told; a task that went on to somebody else or was settled need not."""
    if job.kind == JobKind.SECURITY_EVENT:
        return True
    entry = last.get(job.subject) if job.subject is not None else None
    still = entry is not None and is_assignment(entry) and entry.request_id == job.request_id
    return still and UUID(job.payload["user_id"]) in found.told


def _last_assignment(entries: list[EntryRow], until: datetime) -> EntryRow | None:
    """Return the step that gave a task to who has it; None where it was deleted or closed then or since."""
    given = max(index for index, entry in enumerate(entries) if "user_id" in entry.changes)
    since = list(stretches(entries, until))[given:]
    settled = any(each.deleted or not Status(each.status).is_open for each in since)
    return None if settled else entries[given]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
