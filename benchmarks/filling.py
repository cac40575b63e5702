"""Fills a migrated database with tasks by COPY, and says whose they are.

What is made looks like what people make: tasks come in sittings and imports, so an owner's lie
beside each other in runs; the newer, the likelier still open; a few are cancelled, very few deleted.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg

PERIOD: Final = timedelta(days=730)
"""All tasks were made in this time, evenly; so a larger installation is one with more owners."""
_CHUNK: Final = 2_000
_HISTORY_STATEMENT: Final = (
    "COPY task_history (task_id, version, id, at, actor_id, action, changes, request_id) FROM STDIN"
)
_TASK_STATEMENT: Final = (
    "COPY tasks (id, user_id, title, description, status, priority, due_date, created_at, updated_at, "
    "completed_at, deleted_at, version) FROM STDIN"
)
_USER_STATEMENT: Final = (
    "COPY users (id, email, name, password_hash, role, active, created_at, updated_at, version) FROM STDIN"
)
_TEXT: Final = (
    "report budget meeting customer invoice release garden kitchen review contract server backup travel "
    "holiday slides interview draft letter printer archive ticket paint school doctor present ladder Straße "
    "naïve proposal survey roof heating quarter figures newsletter migration password audit lunch"
)
_WORDS: Final = _TEXT.split()
_NULL: Final = r"\N"
_PRIORITIES: Final = (0.3, 0.8)
NEEDLE: Final = "zebra"
"""A word that stands in one title of a thousand."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to make.

    Attributes:
        tasks: How many in all.
        big: Tasks of the one owner with many; 0 for none.
        small: Least and most tasks of each other owner.
        run_length: Rows of one owner beside each other, on average; 1 is the worst case.
        now: Until when they were made.
        password_hash: Of every account.
        deleted: The share of tasks that are.
    """

    tasks: int
    big: int = 10_000
    small: tuple[int, int] = (20, 50)
    run_length: int = 50
    now: datetime
    password_hash: str = "!"
    deleted: float = 0.01
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What is there.

    Attributes:
        big: The owner of many tasks, where there is one.
        small: Some owners of few.
        ids: The live tasks of each of these, oldest first.
        users: How many there are.
        now: Until when tasks were made.
    """

    big: UUID | None
    small: list[UUID]
    ids: dict[UUID, list[UUID]]
    users: int
    now: datetime


def fill(url: str, plan: Plan, tell: Callable[[int], None] = lambda _: None) -> None:
    """Fill an empty database at head."""
    draw = random.Random(plan.seed)
    sizes = list(_sizes(plan, draw))
    begin = plan.now - PERIOD
    before = round((begin - timedelta(days=1)).timestamp() * 1000)
    owners = [UUID(_id(before + index, 0, draw.getrandbits(32))) for index in range(len(sizes))]
    with ExitStack() as stack:
        tasks, history = (stack.enter_context(_connect(url)) for _ in range(2))
        with tasks.cursor().copy(_USER_STATEMENT) as copy:
            for index, owner in enumerate(owners):
                copy.write(_user(index, owner, plan, begin))
        tasks.commit()
        to_tasks = stack.enter_context(tasks.cursor().copy(_TASK_STATEMENT))
        to_history = stack.enter_context(history.cursor().copy(_HISTORY_STATEMENT))
        for count, (some, entries) in enumerate(_chunks(plan, sizes, owners, draw), 1):
            to_tasks.write(some)
            to_history.write(entries)
            tell(min(count * _CHUNK, plan.tasks))


def look(url: str, *, small: int = 40, big: bool = True) -> Filled:
    """Return what a filled database holds, after vacuuming it; `small` owners of few tasks at most."""
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
        ask = "SELECT id, created_at FROM users WHERE email LIKE 'person%' ORDER BY id"
        owners = connection.execute(ask).fetchall()
        ids = [id for id, _ in owners]
        some = random.Random(4).sample(ids[big:], min(small, len(ids) - big))
        tasks: dict[UUID, list[UUID]] = {id: [] for id in [*ids[:big], *some]}
        ask = "SELECT user_id, id FROM tasks WHERE user_id = ANY(%s) AND deleted_at IS NULL ORDER BY id"
        for owner, id in connection.execute(ask, [list(tasks)]):
            tasks[owner].append(id)
    now = owners[0][1] + PERIOD
    return Filled(big=ids[0] if big else None, small=some, ids=tasks, users=len(ids), now=now)


def _connect(url: str) -> psycopg.Connection[Any]:
    # What COPY writes keeps the foreign keys by construction; checking each row would take as long again.
    return psycopg.connect(url, options="-c session_replication_role=replica -c timezone=UTC")


def _sizes(plan: Plan, draw: random.Random) -> Iterator[int]:
    left = plan.tasks
    if plan.big:
        yield plan.big
        left -= plan.big
    while left > 0:
        size = min(draw.randint(*plan.small), left)
        yield size
        left -= size


def _runs(plan: Plan, sizes: list[int], draw: random.Random) -> list[tuple[int, int]]:
    """Return (owner, rows) in the order in which the rows will lie; those of the big owner evenly."""
    owners = list(enumerate(sizes))
    big = list(_cut(owners[:1], plan, random.Random(plan.seed))) if plan.big else []
    runs = list(_cut(owners[bool(plan.big) :], plan, draw))
    draw.shuffle(runs)
    woven, taken = [], 0
    for index, run in enumerate(big):
        upto = len(runs) * index // len(big)
        woven += [*runs[taken:upto], run]
        taken = upto
    return woven + runs[taken:]


def _cut(owners: Iterable[tuple[int, int]], plan: Plan, draw: random.Random) -> Iterator[tuple[int, int]]:
    for owner, size in owners:
        left = size
        while left > 0:
            run = min(draw.randint(1, 2 * plan.run_length - 1), left)
            yield owner, run
            left -= run


def _chunks(
    plan: Plan, sizes: list[int], owners: list[UUID], draw: random.Random
) -> Iterator[tuple[str, str]]:
    begin, step = plan.now - PERIOD, PERIOD / plan.tasks
    names = [str(owner) for owner in owners]
    others, of_big = _Rows(plan, draw), _Rows(plan, random.Random(plan.seed))
    tasks: list[str] = []
    history: list[str] = []
    row = bigs = 0
    for owner, length in _runs(plan, sizes, draw):
        is_big = plan.big and owner == 0
        for _ in range(length):
            if is_big:
                # Its tasks are alike whatever the size, so that its questions can be compared.
                bigs += 1
                of_big.draw.seed(bigs)
            task, entry = (of_big if is_big else others).make(names[owner], begin + step * row)
            tasks.append(task)
            history.append(entry)
            row += 1
            if len(tasks) == _CHUNK:
                yield "".join(tasks), "".join(history)
                tasks, history = [], []
    yield "".join(tasks), "".join(history)


class _Rows:
    """Makes rows. Texts are drawn from a few thousand, since making each would take most of the time."""

    def __init__(self, plan: Plan, draw: random.Random) -> None:
        self.draw = draw
        self._now = plan.now
        self._deleted = plan.deleted
        self._random = draw.random
        self._bits = draw.getrandbits
        self._titles = [" ".join(draw.choices(_WORDS, k=5)) for _ in range(4096)]
        for index in range(0, len(self._titles), 1000):
            self._titles[index] += f" {NEEDLE}"
        texts = [" ".join(draw.choices(_WORDS, k=draw.randint(8, 25))) for _ in range(4096)]
        self._descriptions = [text if draw.random() < 0.6 else _NULL for text in texts]

    def make(self, owner: str, created: datetime) -> tuple[str, str]:
        random, bits = self._random, self._bits
        age = self._now - created
        at, ms = created.isoformat(), round(created.timestamp() * 1000)
        id, entry_id = _id(ms, 0, bits(32)), _id(ms, 1, bits(32))
        title = self._titles[bits(12)]
        status = _status(age.days, random)
        completed = status == "COMPLETED"
        updated = at
        if completed or random() < 0.5:
            updated = (created + age * random() ** 4).isoformat()
        deleted = random() < self._deleted
        due = (created + timedelta(minutes=bits(16))).isoformat() if random() < 0.6 else _NULL
        priority = "012"[bisect(_PRIORITIES, random())]
        task = (
            f"{id}\t{owner}\t{title}\t{self._descriptions[bits(12)]}\t{status}\t{priority}\t{due}\t{at}\t{updated}\t"
            f"{updated if completed else _NULL}\t{updated if deleted else _NULL}\t1\n"
        )
        entry = (
            f"{id}\t1\t{entry_id}\t{at}\t{owner}\tcreated\t"
            f'{{"title": [null, "{title}"], "status": [null, "PENDING"], "priority": [null, "MEDIUM"]}}\t'
            f"{bits(128):032x}\n"
        )
        return task, entry


def _id(ms: int, counter: int, random: int) -> str:
    """Return a UUIDv7 of a time; those of one millisecond sort by `counter`."""
    return f"{ms:012x}70008000{counter:04x}{random:08x}"


def _status(days: int, random: Callable[[], float]) -> str:
    if random() < 0.005:
        return "CANCELLED"
    open_ = 0.9 if days < 14 else 0.4 if days < 90 else 0.1
    if random() >= open_:
        return "COMPLETED"
    return "PENDING" if random() < 0.7 else "IN_PROGRESS"


def _user(index: int, id: UUID, plan: Plan, begin: datetime) -> str:
    columns = id, email_of(index), f"Person {index}", plan.password_hash, "user", "t", begin, begin, 1
    return "\t".join(map(str, columns)) + "\n"


def email_of(index: int) -> str:
    """Return the address of the owner with this number."""
    return f"person{index}@example.com"


def today() -> datetime:
    """Return the present time in whole seconds, as the end of the period."""
    return datetime.now(UTC).replace(microsecond=0)
