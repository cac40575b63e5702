"""Questions about many: what to look for, in which order, from where on; and the page that answers.

Pages are by keyset: a `Position` is the sort key and the id of the last row seen, never a row
number. So every row whose key does not change while one pages through is seen exactly once,
and page 1,000 costs what page 1 does.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from taskflow_core.fields import check_fields, check_text
from taskflow_core.tasks import check_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from taskflow_core.tasks import Priority, Status
    from taskflow_core.users import Role

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

LIMIT_DEFAULT: Final = 20
LIMIT_MAX: Final = 100
SEARCH_MAX: Final = 255
"""Characters of a search; longer than any title makes no sense."""


class TaskSort(StrEnum):
    """What a list of tasks is sorted by; ties by id, in the same direction."""

    CREATED_AT = "created_at"
    DUE_DATE = "due_date"
    PRIORITY = "priority"
    UPDATED_AT = "updated_at"


class UserSort(StrEnum):
    """What a list of users is sorted by."""

    CREATED_AT = "created_at"
    EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page.

    Attributes:
        key: Its sort key: a time, a priority's rank, or an email. None where it has none
            (no due date) and where the id alone is the order (by creation).
        id: Its id.
        as_of: When the first page was asked for; what "overdue" means on all the pages.
    """

    key: datetime | int | str | None
    id: UUID
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of many.

    Attributes:
        items: In the order asked for.
        next: Where the next page begins; None where this is the last.
    """

    items: tuple[T, ...]
    next: Position | None


def check_limit(limit: int) -> int:
    """Return the most items on a page, 1 to 100.

    Raises:
        ValueError: It is not; nothing is clamped.
    """
    if not 1 <= limit <= LIMIT_MAX:
        raise ValueError(f"must be between 1 and {LIMIT_MAX}")
    return limit


def check_search(value: str | None) -> str | None:
    """Return what to look for as it is, 1 to 255 characters; None where nothing is looked for.

    Raises:
        ValueError: It is empty or too long.
    """
    return None if value is None else check_text(value, least=1, most=SEARCH_MAX)


def check_choice(value: object) -> object:
    """Return a filter by one value or by several as it is; None where it does not filter.

    Raises:
        ValueError: It is a collection without a value.
    """
    if isinstance(value, Collection) and not value:
        raise ValueError("must have at least one value")
    return value


def choices(kind: type[E], value: E | Collection[E] | None) -> tuple[E, ...]:
    """Return the members that a filter lets pass, in the order of the enumeration."""
    if value is None:
        return tuple(kind)
    return tuple(each for each in kind if each in ((value,) if isinstance(value, kind) else value))


_KEYS: Final[Mapping[TaskSort | UserSort, tuple[type, ...]]] = {
    TaskSort.CREATED_AT: (NoneType,),
    TaskSort.DUE_DATE: (datetime, NoneType),
    TaskSort.PRIORITY: (int,),
    TaskSort.UPDATED_AT: (datetime,),
    UserSort.CREATED_AT: (NoneType,),
    UserSort.EMAIL: (str,),
}

FIELD_RULES: Final[Mapping[str, Callable[[Any], object]]] = {
    "limit": check_limit,
    "status": check_choice,
    "priority": check_choice,
    "search": check_search,
    "created_from": check_time,
    "created_to": check_time,
    "due_from": check_time,
    "due_to": check_time,
}
"""The rule of each field of a query that has one beyond its type; it raises ValueError with a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQuery:
    """Which tasks, in which order.

    Attributes:
        owner: Whose; None for everyone's.
        status: One, or several of which a task must have one; None for any.
        priority: Likewise.
        search: A substring of title or description by canonical caseless matching (Unicode D145), in
            composed form, so that `e` is no part of `é`; nothing in it is special.
        created_from: Inclusive, as all the `_from`.
        created_to: Exclusive, as all the `_to`.
        overdue: True for the overdue only, False for the others, None for both.
        deleted: Whether to list the deleted ones instead of the live ones.
        sort: The key; by creation is by id, since ids sort by creation (UUIDv7).
        descending: Largest first. Tasks without due date come last either way.
        limit: The most items on a page.
        after: The end of the page before.
    """

    owner: UUID | None
    status: Status | Collection[Status] | None = None
    priority: Priority | Collection[Priority] | None = None
    search: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    due_from: datetime | None = None
    due_to: datetime | None = None
    overdue: bool | None = None
    deleted: bool = False
    sort: TaskSort = TaskSort.CREATED_AT
    descending: bool = True
    limit: int = LIMIT_DEFAULT
    after: Position | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserQuery:
    """Which users, in which order; accounts marked as deleted are in none.

    Attributes:
        search: A substring of email or name, matched as that of a `TaskQuery`.
    """

    search: str | None = None
    role: Role | None = None
    active: bool | None = None
    sort: UserSort = UserSort.CREATED_AT
    descending: bool = True
    limit: int = LIMIT_DEFAULT
    after: Position | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuery:
    """The history of one task, newest first.

    Attributes:
        before_version: Entries older than this one only.
    """

    task_id: UUID
    limit: int = LIMIT_DEFAULT
    before_version: int | None = None


@dataclass(frozen=True, slots=True)
class HistoryPage(Generic[T]):
    """Some of a task's history.

    Attributes:
        items: Newest first.
        next_before: What to ask for next; None where this is the end.
    """

    items: tuple[T, ...]
    next_before: int | None


def check_query(query: TaskQuery | UserQuery | HistoryQuery) -> None:
    """Check the fields of a query that have rules.

    Raises:
        InvalidInput: With every fault at once.
    """
    given = {name: getattr(query, name, None) for name in FIELD_RULES}
    check_fields({**FIELD_RULES, "after": _check_position}, given | {"after": query})


def _check_position(query: TaskQuery | UserQuery | HistoryQuery) -> None:
    if isinstance(query, HistoryQuery) or query.after is None:
        return
    fits = isinstance(query.after.key, _KEYS[query.sort])
    if not fits:
        raise ValueError("is not a position in this list")
