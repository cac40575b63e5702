"""`taskflow doctor`."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from taskflow_cli.errors import INCOMPLETE
from taskflow_cli.tables import printable

if TYPE_CHECKING:
    from taskflow_bootstrap.doctor import Finding, Level
    from taskflow_bootstrap.settings import Settings

_ENV_FILE = Path(".env")
_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option(
    "--data-dir", type=click.Path(path_type=Path), metavar="DIR", help="Of a running `taskflow dev`."
)
@click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
@click.pass_context
def doctor(ctx: click.Context, data_dir: Path | None, as_json: bool) -> None:
    """Check all that TaskFlow needs, and say what to do.

    Ends with exit code 1 where a check failed; a warning leaves it at 0.
    """
    import asyncio

    from taskflow_bootstrap.discovery import find
    from taskflow_bootstrap.doctor import Level
    from taskflow_bootstrap.errors import SettingsError
    from taskflow_bootstrap.settings import load_settings
    from taskflow_cli.output import Output

    ctx.meta["taskflow_cli.json"] = as_json
    settings, warnings = load_settings(env_file=_ENV_FILE)
    # Without a database the report says so, line by line.
    with suppress(SettingsError):
        settings = find(settings, data_dir).settings
    findings = asyncio.run(_examine(settings, warnings, quiet=as_json))
    worst = Level.FAIL if any(finding.level is Level.FAIL for finding in findings) else Level.OK
    if as_json:
        Output(as_json).json({"ok": worst is not Level.FAIL, "checks": findings})
    else:
        click.echo(_summary(findings, Level.WARN))
    if worst is Level.FAIL:
        ctx.exit(INCOMPLETE)


async def _examine(settings: Settings, warnings: list[str], *, quiet: bool) -> list[Finding]:
    from taskflow_bootstrap.doctor import examine

    findings = []
    async for finding in examine(settings, warnings=warnings, environ=os.environ, env_file=_ENV_FILE):
        findings.append(finding)
        if not quiet:
            level = _style(f"{finding.level:<4}", _STYLES[finding.level])
            click.echo(f"{level}  {finding.check}: {printable(finding.detail)}")
            if finding.advice:
                click.echo(f"      -> {finding.advice}")
    return findings


def _style(text: str, colour: str) -> str:
    return text if os.environ.get("NO_COLOR") else click.style(text, fg=colour)


def _summary(findings: list[Finding], warn: Level) -> str:
    bad = sum(finding.level == "fail" for finding in findings)
    doubtful = sum(finding.level is warn for finding in findings)
    if not bad and not doubtful:
        return "All is well."
    return f"{bad} to put right, {doubtful} to look at."
