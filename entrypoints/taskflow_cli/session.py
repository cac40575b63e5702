"""What a command works with: the use cases, who acts, and where output goes."""

from __future__ import annotations

import functools
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, TypeAlias
from uuid import UUID

import click

from taskflow_cli.advice import CONTEXT
from taskflow_cli.found import found
from taskflow_cli.output import Output
from taskflow_core import Actor, Forbidden, UserView

if TYPE_CHECKING:
    from taskflow_bootstrap.embedded import TaskFlow
    from taskflow_core import UseCases

Open: TypeAlias = Callable[[Path | None], "AbstractAsyncContextManager[TaskFlow]"]
"""Opens a TaskFlow; gets the data directory that was named. Tests put another into the context's `obj`."""

ANYONE = "any"


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a command.

    Attributes:
        actor: The operator, or the person of `--as`.
        out: Tables or JSON.
    """

    taskflow: TaskFlow
    actor: Actor
    out: Output

    @property
    def do(self) -> UseCases:
        """All that can be done."""
        return self.taskflow.use_cases

    async def user_id(self, text: str) -> UUID:
        """Return the id of a user who is named by id or by email.

        Raises:
            NotFound: No account has the email.
        """
        try:
            return UUID(text)
        except ValueError:
            return (await self.taskflow.user_by_email(text)).id

    async def owner(self, text: str | None) -> UUID | None:
        """Return whose tasks are meant: by id or email, "any" for everyone's, by default the actor's own.

        The operator owns none, so its default is everyone's.
        """
        if text is None:
            return self.actor.id
        return None if text.lower() == ANYONE else await self.user_id(text)


_as_person = click.option(
    "--as", "as_email", metavar="EMAIL", help="Act as this person, with that role's permissions."
)
_data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Of a running `taskflow dev`.  [default: the environment's database, else .taskflow here or above]",
)
_json = click.option("--json", "as_json", is_flag=True, help="JSON for programs instead of a table.")


def with_session(command: Callable[Concatenate[Session, ...], Awaitable[None]]) -> Callable[..., None]:
    """Give a command the options `--as`, `--data-dir` and `--json`, and a session made of them."""

    @_as_person
    @_data_dir
    @_json
    @click.pass_context
    @functools.wraps(command)
    def run(
        ctx: click.Context, /, as_email: str | None, data_dir: Path | None, as_json: bool, **given: Any
    ) -> None:
        ctx.meta["taskflow_cli.json"] = as_json
        ctx.meta[CONTEXT] = ctx
        open_: Open = ctx.obj or open_found

        import asyncio

        async def work() -> None:
            async with open_(data_dir) as taskflow:
                actor = await _actor(taskflow, as_email)
                await command(Session(taskflow, actor, Output(as_json)), **given)

        asyncio.run(work())

    return run


async def _actor(taskflow: TaskFlow, email: str | None) -> Actor:
    if email is None:
        return Actor.operator()
    user: UserView = await taskflow.user_by_email(email)
    if not user.active:
        raise Forbidden(f"The account of {user.email} is deactivated.")
    return Actor.of(user.id, user.role)


@asynccontextmanager
async def open_found(data_dir: Path | None) -> AsyncIterator[TaskFlow]:
    """Open the TaskFlow whose database is meant."""
    # What is imported stays: looking through it for garbage takes a fifth of a short command's time.
    gc.disable()
    try:
        from taskflow_bootstrap.embedded import open_taskflow

        settings = found(data_dir).settings
    finally:
        gc.freeze()
        gc.enable()

    # Less is no matter of a command's, such as that no worker could be woken: its error says what failed.
    logging.getLogger().setLevel(logging.ERROR)

    def log_errors() -> None:
        from msgspec.structs import replace

        from taskflow_bootstrap.logs import configure_logs

        # To standard error.
        configure_logs(replace(settings, log_level="error"))

    # Importing what logs takes 0.1 s, and only the queue does.
    async with open_taskflow(settings, on_open=log_errors) as taskflow:
        yield taskflow
