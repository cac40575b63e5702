"""Lists that are longer than a page, and the filters of lists of tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import click

from taskflow_cli import options
from taskflow_cli.session import Session
from taskflow_core import Actor, EventQuery, HistoryEntry, JobQuery, TaskQuery, TaskSort, UserQuery
from taskflow_core.queries import LIMIT_DEFAULT, LIMIT_MAX
from taskflow_http import schemas
from taskflow_http.wire_names import wire_name

if TYPE_CHECKING:
    from taskflow_core.use_cases.bundle import UseCase

Q = TypeVar("Q", TaskQuery, UserQuery, EventQuery, JobQuery)

SORTS: Final = {
    "createdAt": "created_at",
    "dueDate": "due_date",
    "priority": "priority",
    "updatedAt": "updated_at",
}
"""The API's names of the sort keys."""

_LOCAL: Final = "Local time unless it has an offset; a date is the start of its day."


@dataclass(slots=True)
class Listing(Generic[Q]):
    """Reads page after page.

    Attributes:
        limit: The most items; None for all.
        more: Whether there were more than `limit`, once read.
    """

    read: UseCase[Q, Any]
    actor: Actor
    limit: int | None
    more: bool = False

    async def items(self, query: Q) -> AsyncIterator[Any]:
        """Yield the items, holding one page at a time."""
        left = self.limit
        while True:
            size = LIMIT_MAX if left is None else min(left, LIMIT_MAX)
            page = await self.read(replace(query, limit=size), self.actor)
            for item in page.items:
                yield item
            left = None if left is None else left - len(page.items)
            if page.next is None or left == 0:
                self.more = page.next is not None
                return
            query = replace(query, after=page.next)

    def tell_more(self) -> None:
        """Say how to see more, where there is more."""
        if self.more and self.limit is not None:
            click.echo(f"There are more: --limit {self.limit * 5}, or --all", err=True)


def amount(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--limit` and `--all`, as `limit`: the most to list, None for all."""

    @click.option(
        "--limit", type=click.IntRange(min=1), help=f"The most to list.  [default: {LIMIT_DEFAULT}]"
    )
    @click.option("--all", "everything", is_flag=True, help="All of them.")
    @wraps(command)
    def run(limit: int | None, everything: bool, **given: Any) -> None:
        if everything and limit is not None:
            raise click.UsageError("--limit and --all exclude each other.")
        command(limit=None if everything else limit or LIMIT_DEFAULT, **given)

    return run


def filters(default_sort: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what gives a command the filters and the order of a list of tasks."""
    names = [*SORTS, *(f"-{name}" for name in SORTS)]
    given = (
        options.owner,
        click.option("--status", type=options.STATUS, multiple=True, help="May be repeated."),
        click.option("--priority", type=options.PRIORITY, multiple=True, help="May be repeated."),
        click.option("--search", metavar="TEXT", help="In title or description, in any letter case."),
        click.option("--created-from", type=options.WHEN, help=f"Inclusive. {_LOCAL}"),
        click.option("--created-to", type=options.WHEN, help=f"Exclusive. {_LOCAL}"),
        click.option("--due-from", type=options.WHEN, help=f"Inclusive. {_LOCAL}"),
        click.option("--due-to", type=options.WHEN, help=f"Exclusive. {_LOCAL}"),
        click.option("--overdue/--not-overdue", default=None, help="Open and past its due date, or not."),
        click.option("--deleted", is_flag=True, help="The deleted ones instead."),
        click.option("--sort", type=click.Choice(names), default=default_sort, show_default=True),
    )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(given):
            command = option(command)
        return command

    return decorate


async def query_of(session: Session, chosen: dict[str, Any]) -> TaskQuery:
    """Return the query that the options of `filters` make."""
    given = chosen | {name: chosen[name] or None for name in ("status", "priority")}
    sort: str = given.pop("sort")
    owner = await session.owner(given.pop("owner"))
    key = TaskSort(SORTS[sort.removeprefix("-")])
    return TaskQuery(owner=owner, sort=key, descending=sort.startswith("-"), **given)


def history_lines(entry: HistoryEntry) -> schemas.HistoryEntry:
    """Return an entry as the API shows it."""
    changes = {
        wire_name(name): schemas.FieldChange(change.before, change.after)
        for name, change in entry.changes.items()
    }
    actor = "operator" if entry.actor_id is None else str(entry.actor_id)
    return schemas.HistoryEntry(entry.id, entry.at, actor, entry.action, changes, entry.request_id)
