"""The commands by name. Each is imported when it is run, so that `taskflow --help` answers at once."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import click

COMMANDS: Final = {
    "dev": ("taskflow_cli.dev:dev", "Run everything on this machine, databases too, with demo data."),
    "serve": ("taskflow_cli.serve:serve", "Serve the API."),
    "worker": ("taskflow_cli.worker:worker", "Do background jobs."),
    "scheduler": ("taskflow_cli.scheduler:scheduler", "See what falls due, and that no job is forgotten."),
    "migrate": ("taskflow_cli.migrate:migrate", "Bring the database to head, making it where it may."),
    "seed": ("taskflow_cli.seed:seed", "Add the demo accounts and their tasks."),
    "doctor": ("taskflow_cli.doctor:doctor", "Check all that TaskFlow needs, and say what to do."),
    "openapi": ("taskflow_cli.openapi:openapi", "Write the API's description or a request collection."),
    "users": ("taskflow_cli.users:users", "Work with accounts."),
    "sessions": ("taskflow_cli.sessions:sessions", "See where accounts are signed in, and sign them out."),
    "auth": ("taskflow_cli.auth:auth", "See who may do what, and what happened to accounts."),
    "tasks": ("taskflow_cli.tasks:tasks", "Work with tasks."),
    "jobs": (
        "taskflow_cli.jobs:jobs",
        "See what is done in the background, and help what is dead.",
    ),
}
"""Name to where the command is, and the first sentence of its help."""

INTERRUPTED: Final = 130


class Commands(click.Group):
    """A group that knows its commands by `COMMANDS`, and tells errors as `taskflow_cli.errors` says."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return the command."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list without importing what it lists."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what it raises on purpose becomes a message and an exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            ctx.exit(INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            from taskflow_cli.errors import tell

            code = tell(error, as_json=bool(ctx.meta.get("taskflow_cli.json")))
            if code is None:
                raise
            ctx.exit(code)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="taskflow-core", message="taskflow %(version)s")
def cli() -> None:
    """Tasks for teams and programs: run TaskFlow, look after it, and work with its tasks.

    Settings come from TASKFLOW_* variables and from .env; without them, all commands but `serve` find a
    running `taskflow dev` by its directory .taskflow, here or in a parent.
    """
