"""`taskflow users`: accounts, their roles, and their end."""

from __future__ import annotations

import sys
from typing import Any

import click

from taskflow_cli import options
from taskflow_cli.listing import Listing, amount
from taskflow_cli.session import Session, with_session
from taskflow_cli.tables import BELOW, CUT, FOLD, WHOLE
from taskflow_core import (
    UNSET,
    Fault,
    InvalidInput,
    NewUser,
    PasswordReset,
    Role,
    UserChange,
    UserChanges,
    UserDeletion,
    UserQuery,
    UserView,
)
from taskflow_http import account_schemas

_COLUMNS = {"ID": BELOW, "Email": FOLD, "Name": CUT, "Role": WHOLE, "Active": WHOLE}
_LINE_MAX = 64 * 1024
"""More bytes than any password may have, so that one that is cut off is refused as too long."""
_who = click.argument("who", metavar="EMAIL|ID")


@click.group()
def users() -> None:
    """Work with accounts.

    Acts as the operator, who may do all, or as a person with --as.
    """


@users.command("list")
@click.option("--search", metavar="TEXT", help="In email or name, in any letter case.")
@click.option("--role", type=options.ROLE)
@click.option("--active/--inactive", default=None)
@amount
@with_session
async def list_(session: Session, limit: int | None, **chosen: Any) -> None:
    """List accounts, newest first."""
    listing = Listing(session.do.list_users, session.actor, limit)
    found = [user async for user in listing.items(UserQuery(**chosen))]
    if session.out.as_json:
        session.out.json({"data": [account_schemas.User.of(user) for user in found], "more": listing.more})
        return
    session.out.table(_COLUMNS, map(_row, found), empty="No users.")
    listing.tell_more()


@users.command()
@_who
@with_session
async def show(session: Session, who: str) -> None:
    """Show one account."""
    user = await session.do.find_user(await session.user_id(who), session.actor)
    session.out.record(account_schemas.User.of(user))


@users.command()
@click.argument("email")
@click.option("--name", help="What the person is called.  [default: the email's first part]")
@click.option("--role", type=options.ROLE, default=Role.USER, help="user, manager or admin.")
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of asking."
)
@with_session
async def create(session: Session, email: str, name: str | None, role: Role, password_stdin: bool) -> None:
    """Make an account. The password is asked for, never given as an argument, which others could see."""
    password = _password(from_stdin=password_stdin)
    new = NewUser(email=email, name=name or email.partition("@")[0], password=password, role=role)
    session.out.record(account_schemas.User.of(await session.do.create_user(new, session.actor)))


@users.command("reset-password")
@_who
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of asking."
)
@with_session
async def reset_password(session: Session, who: str, password_stdin: bool) -> None:
    """Give an account a new password, and end all its sessions."""
    user = await session.do.find_user(await session.user_id(who), session.actor)
    reset = PasswordReset(user.id, _password(from_stdin=password_stdin))
    await session.do.reset_password(reset, session.actor)
    session.out.say(f"{user.email} has a new password; all sessions ended.")


@users.command("set-role")
@_who
@click.argument("role", type=options.ROLE)
@with_session
async def set_role(session: Session, who: str, role: Role) -> None:
    """Give an account another role."""
    await _change(session, who, UserChanges(role=role))


@users.command()
@_who
@click.option("--name", help="What the person is called.")
@click.option(
    "--notifications/--no-notifications", default=None, help="Whether to be told of one's tasks by notices."
)
@with_session
async def update(session: Session, who: str, name: str | None, notifications: bool | None) -> None:
    """Change what everybody may change of oneself; what is not given stays."""
    changes = UserChanges(
        name=UNSET if name is None else name, notifications=UNSET if notifications is None else notifications
    )
    if not changes.given():
        raise click.UsageError("Say what is to change; see --help.")
    await _change(session, who, changes)


@users.command()
@_who
@with_session
async def deactivate(session: Session, who: str) -> None:
    """Keep an account from signing in."""
    await _change(session, who, UserChanges(active=False))


@users.command()
@_who
@with_session
async def activate(session: Session, who: str) -> None:
    """Let an account sign in again."""
    await _change(session, who, UserChanges(active=True))


@users.command()
@_who
@options.yes
@with_session
async def delete(session: Session, who: str, yes: bool) -> None:
    """Delete an account for good, and all its tasks with their history."""
    user = await session.do.find_user(await session.user_id(who), session.actor)
    options.confirm(f"Delete {user.email} with all its tasks? This cannot be undone.", yes=yes)
    await session.do.delete_user(UserDeletion(user.id), session.actor)
    rows = await session.do.purge_users(session.actor)
    session.out.say(f"Deleted {user.email}; {rows} rows removed.")


@users.command()
@options.yes
@with_session
async def purge(session: Session, yes: bool) -> None:
    """Remove what is left of deleted accounts, where a deletion was interrupted."""
    options.confirm("Remove all that is left of deleted accounts?", yes=yes)
    rows = await session.do.purge_users(session.actor)
    if session.out.as_json:
        session.out.json({"removed": rows})
    session.out.say(f"{rows} rows removed.")


async def _change(session: Session, who: str, changes: UserChanges) -> None:
    change = UserChange(await session.user_id(who), changes)
    session.out.record(account_schemas.User.of(await session.do.change_user(change, session.actor)))


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return _line_of_stdin()
    if not options.at_terminal():
        raise click.UsageError(
            "There is no terminal to ask for the password at. Write it to standard input, and give "
            "--password-stdin."
        )
    with options.asking():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return password
    raise click.ClickException("No password was given, and nothing was done.")


def _line_of_stdin() -> str:
    """Return one line of UTF-8, without its end and without a byte order mark."""
    line = sys.stdin.buffer.readline(_LINE_MAX).rstrip(b"\r\n")
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput([Fault(("password",), "must be given in UTF-8")]) from None


def _row(user: UserView) -> tuple[object, ...]:
    return user.id, user.email, user.name, user.role, user.active
