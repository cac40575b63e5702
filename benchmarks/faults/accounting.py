"""Holds what the clients remember against what is in the database."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.faults.findings import Finding
from benchmarks.faults.of_jobs import of_jobs
from benchmarks.faults.of_notices import Notices, of_notices
from benchmarks.faults.of_writes import by_request, of_history, of_writes
from benchmarks.faults.records import Book
from benchmarks.faults.snapshot import Snapshot


class Tally(NamedTuple):
    """How the requests of one kind went; of the unknown ones some were done."""

    sent: int
    acknowledged: int
    refused: int
    unknown: int
    unknown_done: int


@dataclass(slots=True)
class Account:
    """What an accounting came to."""

    findings: list[Finding]
    requests: dict[str, Tally]
    jobs: Counter[tuple[str, str]]
    notices: Notices


def account(book: Book, found: Snapshot) -> Account:
    """Return what is wrong, and how much there was."""
    notices = of_notices(book, found)
    findings = [*of_writes(book, found), *of_history(found), *of_jobs(book, found), *notices.findings]
    jobs = Counter((job.kind, job.state) for job in found.jobs.values())
    return Account(findings, _tallies(book, found), jobs, notices)


def _tallies(book: Book, found: Snapshot) -> dict[str, Tally]:
    entries = by_request(found)
    tallies: dict[str, Tally] = {}
    for operation in book.operations:
        before = tallies.get(operation.kind, Tally(0, 0, 0, 0, 0))
        unknown = [attempt for attempt in operation.attempts if attempt.unknown]
        now = (
            len(operation.attempts),
            sum(attempt.acknowledged for attempt in operation.attempts),
            sum(attempt.refused for attempt in operation.attempts),
            len(unknown),
            sum(attempt.request_id in entries for attempt in unknown),
        )
        tallies[operation.kind] = Tally(*map(sum, zip(before, now, strict=True)))
    return dict(sorted(tallies.items()))
