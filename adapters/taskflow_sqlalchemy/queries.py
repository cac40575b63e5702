"""The statements of the read side: one for each shape of a question, compiled when first asked.

A shape is which filters there are and how it is sorted; values are parameters. Exceptions are few
and deliberate: a status stands in the statement itself, so that the planner sees how rare it is.
"""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    Text,
    and_,
    any_,
    bindparam,
    exists,
    false,
    func,
    lateral,
    literal_column,
    or_,
    select,
    text,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import array

from taskflow_core.queries import TaskQuery, TaskSort, UserQuery, UserSort, choices
from taskflow_core.tasks import OPEN, Priority, Status
from taskflow_sqlalchemy.statements import compiled
from taskflow_sqlalchemy.tables import sessions, task_history, tasks, users

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Column

TASK_COLUMNS: Final = (
    tasks.c.id, tasks.c.title, tasks.c.description, tasks.c.status, tasks.c.priority, tasks.c.due_date,
    tasks.c.user_id, tasks.c.created_at, tasks.c.updated_at, tasks.c.completed_at, tasks.c.version,
)  # fmt: skip
USER_COLUMNS: Final = (
    users.c.id, users.c.email, users.c.name, users.c.role, users.c.active,
    users.c.created_at, users.c.updated_at, users.c.version, users.c.notifications,
)  # fmt: skip

_SLACK: Final = timedelta(minutes=1)
"""How far an id's time may lie from its row's `created_at`: ids of one process never go back, clocks may."""


class TaskShape(NamedTuple):
    """Which statement a question about tasks needs."""

    owner: bool
    status: tuple[Status, ...]
    priority: bool
    search: bool
    created_from: bool
    created_to: bool
    due_from: bool
    due_to: bool
    overdue: bool | None
    deleted: bool
    sort: TaskSort
    descending: bool
    after: bool

    @classmethod
    def of(cls, query: TaskQuery) -> TaskShape:
        """Return the shape of a question."""
        return cls(
            query.owner is not None, choices(Status, query.status), query.priority is not None,
            query.search is not None,
            query.created_from is not None, query.created_to is not None, query.due_from is not None,
            query.due_to is not None, query.overdue, query.deleted, query.sort, query.descending,
            query.after is not None,
        )  # fmt: skip

    @property
    def always_due(self) -> bool:
        """Whether only tasks with a due date can be in the answer."""
        return self.due_from or self.due_to or self.overdue is True


def task_parameters(query: TaskQuery, now: datetime) -> dict[str, Any]:
    """Return the values that the statement of this question's shape takes."""
    after = query.after
    return {
        "owner": query.owner,
        "priorities": [priority.rank for priority in choices(Priority, query.priority)],
        "search": query.search,
        "created_from": query.created_from,
        "created_from_id": _least_id(query.created_from, -_SLACK),
        "created_to": query.created_to,
        "created_to_id": _least_id(query.created_to, _SLACK),
        "due_from": query.due_from,
        "due_to": query.due_to,
        "now": after.as_of if after else now,
        "after_key": after.key if after else None,
        "after_id": after.id if after else None,
        "rows": query.limit + 1,
    }


def _least_id(time: datetime | None, slack: timedelta) -> UUID | None:
    """Return the smallest UUIDv7 of a time, so that the primary key bounds what is looked at."""
    if time is None:
        return None
    return UUID(int=max(0, round((time + slack).timestamp() * 1000)) << 80)


def _contains(column: Column[Any], folded: Column[Any] | None = None) -> ColumnElement[bool]:
    """Any letter case of any script and either normalization (D145); nothing is special: no LIKE.

    Args:
        column: The text.
        folded: The column that holds what case folding alone does not give (`tables.py`); None
            for emails, which are stored folded and normalized.
    """
    text = func.casefold(column.collate("pg_unicode_fast"))
    return func.strpos(text if folded is None else func.coalesce(folded, text), _NEEDLE) > literal_column("0")


def _normalized(text: ColumnElement[Any], form: str) -> ColumnElement[Any]:
    # By its schema: the plain name is a keyword of SQL, with a syntax of its own.
    return func.pg_catalog.normalize(text, literal_column(f"'{form}'"))


_NEEDLE: Final = select(
    _normalized(
        func.casefold(_normalized(bindparam("search", type_=Text), "NFD").collate("pg_unicode_fast")), "NFC"
    )
).scalar_subquery()
"""A subquery, so that it is computed once and not for each row."""


def _overdue(wanted: bool) -> ColumnElement[bool]:
    late = tasks.c.due_date < bindparam("now")
    if wanted:
        return and_(_one_of(sorted(OPEN)), late)
    return or_(~_one_of(sorted(OPEN)), tasks.c.due_date.is_(None), ~late)


def _one_of(statuses: Sequence[Status]) -> ColumnElement[bool]:
    if len(statuses) == 1:
        return tasks.c.status == literal_column(f"'{statuses[0]}'")
    return tasks.c.status.in_([literal_column(f"'{status}'") for status in statuses])


def _task_filters(shape: TaskShape) -> list[ColumnElement[bool]]:
    c = tasks.c
    wanted: list[tuple[object, ColumnElement[bool]]] = [
        (len(shape.status) < len(Status), _one_of(shape.status)),
        (shape.priority, c.priority == any_(bindparam("priorities", type_=ARRAY(Integer)))),
        (shape.created_from, c.created_at >= bindparam("created_from")),
        (shape.created_to, c.created_at < bindparam("created_to")),
        (shape.due_from, c.due_date >= bindparam("due_from")),
        (shape.due_to, c.due_date < bindparam("due_to")),
        (shape.overdue is True, _overdue(True)),
        (shape.overdue is False, _overdue(False)),
        (
            shape.search,
            or_(_contains(c.title, c.title_folded), _contains(c.description, c.description_folded)),
        ),
    ]
    alive = c.deleted_at.is_not(None) if shape.deleted else c.deleted_at.is_(None)
    filters = [alive, *(condition for is_wanted, condition in wanted if is_wanted)]
    return [*_bounds(shape), *(_one_owners(filters) if shape.owner else filters)]


def _bounds(shape: TaskShape) -> Iterator[ColumnElement[bool]]:
    """Yield what an index by id is to begin and end at."""
    if shape.created_from:
        yield tasks.c.id >= bindparam("created_from_id")
    if shape.created_to:
        yield tasks.c.id < bindparam("created_to_id")


def _one_owners(filters: Sequence[ColumnElement[bool]]) -> Iterator[ColumnElement[bool]]:
    """Yield the filters such that the owner's index alone can find the rows, in its order.

    The indexes of everyone's tasks (by id, status, due date) seem cheaper to the planner where an owner has
    many tasks or a filter is rare, and then cost grows with everyone's tasks. So no filter may match them
    (nothing looks into `coalesce`), and the order begins with the owner, which only its index
    offers; an owner that is *equal* to something would drop out of the order, as a constant.
    """
    owner = bindparam("owner", type_=tasks.c.user_id.type)
    yield tasks.c.user_id == any_(array([owner]))
    yield func.coalesce(and_(*filters), false())


def _task_key(shape: TaskShape) -> ColumnElement[Any] | None:
    """Return what is sorted by before the id; None where the id alone is the order."""
    if shape.sort is TaskSort.CREATED_AT:
        return None
    if shape.sort is not TaskSort.DUE_DATE or shape.always_due:
        return tasks.c[shape.sort.value]
    return func.coalesce(tasks.c.due_date, _no_due_date(shape))


def _no_due_date(shape: TaskShape) -> ColumnElement[Any]:
    """Last either way. A comparison of rows with a null in it would drop them."""
    return text("'-infinity'::timestamptz" if shape.descending else "'infinity'::timestamptz")  # type: ignore[return-value]  # a TextClause stands wherever an expression may


def _after(
    id: Column[Any], key: ColumnElement[Any] | None, after_key: ColumnElement[Any], *, descending: bool
) -> ColumnElement[bool]:
    if key is None:
        after_id = bindparam("after_id", type_=id.type)
        return id < after_id if descending else id > after_id
    here, there = tuple_(key, id), tuple_(after_key, bindparam("after_id", type_=id.type))
    return here < there if descending else here > there


@lru_cache(maxsize=4096)
def list_tasks(shape: TaskShape) -> str:
    """Return the statement for one page of tasks."""
    key = _task_key(shape)
    statement = select(*TASK_COLUMNS).where(*_task_filters(shape))
    if shape.after:
        after_key: ColumnElement[Any] = bindparam(
            "after_key", type_=Integer if shape.sort is TaskSort.PRIORITY else tasks.c.due_date.type
        )
        if shape.sort is TaskSort.DUE_DATE:
            after_key = func.coalesce(after_key, _no_due_date(shape))
        statement = statement.where(_after(tasks.c.id, key, after_key, descending=shape.descending))
    keys = [tasks.c.id] if key is None else [key, tasks.c.id]
    order = [each.desc() if shape.descending else each.asc() for each in keys]
    if shape.owner and key is None:
        order.insert(0, tasks.c.user_id.asc() if shape.descending else tasks.c.user_id.desc())
    return compiled(statement.order_by(*order).limit(bindparam("rows", type_=Integer)))


class UserShape(NamedTuple):
    """Which statement a question about users needs."""

    search: bool
    role: bool
    active: bool
    sort: UserSort
    descending: bool
    after: bool

    @classmethod
    def of(cls, query: UserQuery) -> UserShape:
        """Return the shape of a question."""
        return cls(
            query.search is not None, query.role is not None, query.active is not None,
            query.sort, query.descending, query.after is not None,
        )  # fmt: skip


def user_parameters(query: UserQuery) -> dict[str, Any]:
    """Return the values that the statement of this question's shape takes."""
    after = query.after
    return {
        "search": query.search,
        "role": str(query.role) if query.role else None,
        "active": query.active,
        "after_key": after.key if after else None,
        "after_id": after.id if after else None,
        "rows": query.limit + 1,
    }


@lru_cache(maxsize=4096)
def list_users(shape: UserShape) -> str:
    """Return the statement for one page of users."""
    c = users.c
    statement = select(*USER_COLUMNS).where(c.deleted_at.is_(None))
    if shape.search:
        statement = statement.where(or_(_contains(c.email), _contains(c.name, c.name_folded)))
    if shape.role:
        statement = statement.where(c.role == bindparam("role"))
    if shape.active:
        statement = statement.where(c.active == bindparam("active"))
    key = c.email if shape.sort is UserSort.EMAIL else None
    if shape.after:
        after_key = bindparam("after_key", type_=Text)
        statement = statement.where(_after(c.id, key, after_key, descending=shape.descending))
    keys = [c.id] if key is None else [key, c.id]
    order = [each.desc() if shape.descending else each.asc() for each in keys]
    return compiled(statement.order_by(*order).limit(bindparam("rows", type_=Integer)))


def _one_task(*, owned: bool) -> str:
    statement = select(*TASK_COLUMNS).where(tasks.c.id == bindparam("id"), tasks.c.deleted_at.is_(None))
    return compiled(statement.where(tasks.c.user_id == bindparam("owner")) if owned else statement)


ONE_TASK: Final = {owned: _one_task(owned=owned) for owned in (False, True)}


def _stats(*, owned: bool) -> str:
    counted = [func.count().filter(tasks.c.status == literal_column(f"'{status}'")) for status in Status]
    counted += [func.count().filter(tasks.c.priority == literal_column(str(p.rank))) for p in Priority]
    statement = select(func.count(), *counted, func.count().filter(_overdue(True)))
    statement = statement.select_from(tasks).where(tasks.c.deleted_at.is_(None))
    return compiled(statement.where(tasks.c.user_id == bindparam("owner")) if owned else statement)


STATS: Final = {owned: _stats(owned=owned) for owned in (False, True)}
"""One row: the total, one number for each status, one for each priority, the overdue."""


def _history(*, owned: bool) -> str:
    c = task_history.c
    entries = lateral(
        select(c.id, c.task_id, c.version, c.at, c.actor_id, c.action, c.changes, c.request_id)
        .where(c.task_id == tasks.c.id, c.version < bindparam("before", type_=Integer))
        .order_by(c.version.desc())
        .limit(bindparam("rows", type_=Integer))
        .correlate(tasks)
    )
    statement = (
        select(entries)
        .select_from(tasks.outerjoin(entries, true()))
        .where(tasks.c.id == bindparam("id"), tasks.c.deleted_at.is_(None))
        .order_by(entries.c.version.desc())
    )
    return compiled(statement.where(tasks.c.user_id == bindparam("owner")) if owned else statement)


HISTORY: Final = {owned: _history(owned=owned) for owned in (False, True)}
"""No row where the task is not there; a row of nulls where it is but has no such entries."""

ONE_USER: Final = compiled(
    select(*USER_COLUMNS).where(users.c.id == bindparam("id"), users.c.deleted_at.is_(None))
)

EMAILS: Final = "SELECT id, email FROM users WHERE id = ANY(%(ids)s::uuid[]) AND deleted_at IS NULL"


def _same(name: str) -> ColumnElement[bool]:
    return sessions.c[name].is_not_distinct_from(bindparam(name, type_=Text))


def _has_session(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(sessions.c.user_id == users.c.id, *conditions).correlate(users)


CREDENTIALS: Final = compiled(
    select(
        *USER_COLUMNS,
        users.c.password_hash,
        users.c.password_version,
        _has_session(_same("network"), _same("user_agent")),
        _has_session(_same("network")),
        _has_session(),
    ).where(users.c.email == bindparam("email"), users.c.deleted_at.is_(None))
)
