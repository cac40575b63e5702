"""`taskflow sessions`: where accounts are signed in, and an end to it."""

from __future__ import annotations

from uuid import UUID

import click

from taskflow_cli import options
from taskflow_cli.session import Session, with_session
from taskflow_cli.tables import BELOW, CUT, FOLD
from taskflow_core import SessionView
from taskflow_core.use_cases.auth.manage_sessions import own_id
from taskflow_http import account_schemas

_COLUMNS = {"ID": BELOW, "Opened": FOLD, "Last used": FOLD, "User agent": CUT}


@click.group()
def sessions() -> None:
    """See where accounts are signed in, and sign them out."""


@sessions.command("list")
@click.argument("who", metavar="[EMAIL|ID]", required=False)
@with_session
async def list_(session: Session, who: str | None) -> None:
    """List the live sessions of an account, the last used first; with --as, one's own."""
    user_id = own_id(session.actor) if who is None else await session.user_id(who)
    found = await session.do.list_sessions(user_id, session.actor)
    if session.out.as_json:
        session.out.json({"data": [account_schemas.Session.of(view, None) for view in found]})
        return
    session.out.table(_COLUMNS, map(_row, found), empty="No sessions.")


@sessions.command()
@click.argument("session_id", metavar="[SESSION]", type=click.UUID, required=False)
@click.option("--user", "who", metavar="EMAIL|ID", help="All sessions of this account.")
@options.yes
@with_session
async def end(session: Session, session_id: UUID | None, who: str | None, yes: bool) -> None:
    """End a session, or all of an account; its tokens are refused from then on, everywhere."""
    if (session_id is None) == (who is None):
        raise click.UsageError("Give the id of a session, or --user.")
    if session_id is not None:
        await session.do.end_session(session_id, session.actor)
        session.out.say(f"Ended session {session_id}.")
        return
    assert who is not None  # noqa: S101 - one of the two
    user_id = await session.user_id(who)
    live = await session.do.list_sessions(user_id, session.actor)
    options.confirm(f"End all {len(live)} sessions of {who}?", yes=yes)
    await session.do.end_sessions(user_id, session.actor)
    session.out.say(f"Ended all sessions of {who}.")


def _row(view: SessionView) -> tuple[object, ...]:
    return view.id, view.created_at, view.last_used_at, view.user_agent
