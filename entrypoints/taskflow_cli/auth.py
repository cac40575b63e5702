"""`taskflow auth`: who may do what, and what happened to accounts."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from uuid import UUID

import click
import msgspec

from taskflow_cli import options
from taskflow_cli.errors import exit_code
from taskflow_cli.explaining import ACTIONS, Action, Verdict, explain
from taskflow_cli.listing import Listing, amount
from taskflow_cli.output import console
from taskflow_cli.session import Session, with_session
from taskflow_cli.tables import BELOW, FOLD, WHOLE, wrapped
from taskflow_core import EventQuery, EventType, SecurityEvent, Task, UserView
from taskflow_core.permissions import require_see_task
from taskflow_http import account_schemas

_EVENT_COLUMNS = {"At": FOLD, "Type": FOLD, "User ID": BELOW, "Detail": FOLD}


@click.group()
def auth() -> None:
    """See who may do what, and what happened to accounts."""


@auth.command()
@options.owner
@click.option("--type", "type_", type=click.Choice([str(type_) for type_ in EventType]), help="Only these.")
@amount
@with_session
async def events(session: Session, owner: str | None, type_: str | None, limit: int | None) -> None:
    """List security events, newest first: everyone's, or with --as one's own."""
    query = EventQuery(owner=await session.owner(owner), type=EventType(type_) if type_ else None)
    listing = Listing(session.do.read_events, session.actor, limit)
    found = [event async for event in listing.items(query)]
    if session.out.as_json:
        session.out.json(
            {"data": [account_schemas.SecurityEvent.of(event) for event in found], "more": listing.more}
        )
        return
    session.out.table(_EVENT_COLUMNS, map(_row, found), empty="No events.")
    listing.tell_more()


def _row(event: SecurityEvent) -> tuple[object, ...]:
    detail = ", ".join(f"{name}: {value}" for name, value in event.detail.items())
    return event.at, event.type, event.user_id, detail


class Explanation(msgspec.Struct, rename="camel"):
    """What `explain` tells programs."""

    user: account_schemas.User
    action: str
    task_id: UUID | None
    whom: UUID | None
    allowed: bool
    outcome: str
    rule: str
    checks: list[dict[str, str | bool]]


def _actions() -> str:
    # \b keeps click from filling the lines.
    return "\b\n" + "\n".join(f"{name:<16}{action.does}" for name, action in ACTIONS.items())


@auth.command("explain", epilog=_actions())
@click.argument("email", metavar="EMAIL|ID")
@click.argument("action", type=click.Choice(list(ACTIONS)), metavar="ACTION")
@click.argument("task_id", type=click.UUID, required=False, metavar="[TASK]")
@click.option("--whom", metavar="EMAIL|ID", help="The other person, where the action is about one.")
@with_session
async def explain_(session: Session, email: str, action: str, task_id: UUID | None, whom: str | None) -> None:
    """Say whether somebody may do something, and which rule decides.

    Asks the checks that the API asks. The exit code is 0 where it is allowed, else that of the refusal.
    The actions, those on tasks first:
    """
    chosen = ACTIONS[action]
    _check_usage(chosen, action, task_id, whom)
    person = await session.do.find_user(await session.user_id(email), session.actor)
    task = None if task_id is None else await _task(session, task_id)
    other = None if whom is None else await session.user_id(whom)
    verdict = explain(chosen, person, task=task, whom=other, now=datetime.now(UTC))
    if session.out.as_json:
        session.out.json(_explanation(verdict, person, action, task_id, other))
    else:
        _tell(session, verdict, person, f"{chosen.does} {whom or task_id or ''}".rstrip())
    if verdict.refusal is not None:
        sys.exit(exit_code(type(verdict.refusal)))


def _check_usage(chosen: Action, action: str, task_id: UUID | None, whom: str | None) -> None:
    wanted = {"task": "a TASK", "person": "--whom"}.get(chosen.about)
    if (task_id is not None) != (chosen.about == "task") or (whom is not None) != (chosen.about == "person"):
        raise click.UsageError(f"{action} is about {wanted or 'no task and nobody'}.")


async def _task(session: Session, task_id: UUID) -> Task:
    task = await session.taskflow.task(task_id)
    require_see_task(session.actor, task.user_id)
    return task


def _explanation(
    verdict: Verdict, person: UserView, action: str, task_id: UUID | None, whom: UUID | None
) -> Explanation:
    refusal = verdict.refusal
    return Explanation(
        user=account_schemas.User.of(person),
        action=action,
        task_id=task_id,
        whom=whom,
        allowed=refusal is None,
        outcome="allowed" if refusal is None else refusal.code,
        rule=verdict.rule,
        checks=[{"asked": step.asked, "holds": step.holds} for step in verdict.steps],
    )


def _tell(session: Session, verdict: Verdict, person: UserView, does: str) -> None:
    may = "may" if verdict.refusal is None else "may not"
    lines = [f"{person.email} ({person.role}) {may} {does}."]
    if verdict.refusal is not None:
        lines.append(f"The API answers {verdict.refusal.code}: {verdict.refusal.detail}")
    session.out.say(wrapped("\n".join(lines), console().width))
    rows = [("rule", verdict.rule), *((step.asked, step.holds) for step in verdict.steps)]
    session.out.table({"Asked": WHOLE, "Answer": WHOLE}, rows, empty="")
