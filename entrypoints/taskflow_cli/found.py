"""The settings of a command that needs a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from taskflow_bootstrap.discovery import Found
    from taskflow_bootstrap.settings import Settings


def settings_told() -> Settings:
    """Return the settings; variables that mean nothing are warned about."""
    from taskflow_bootstrap.settings import load_settings

    settings, warnings = load_settings()
    for warning in warnings:
        click.echo(f"Warning: {warning}", err=True)
    return settings


def servers_found() -> Settings:
    """Return the settings, with the servers of a running `taskflow dev` where they name no database."""
    from taskflow_bootstrap.discovery import find
    from taskflow_bootstrap.errors import SettingsError

    settings = settings_told()
    try:
        return find(settings, None).settings
    except SettingsError:
        # Who needs them names the variables that are not set.
        return settings


def found(data_dir: Path | None) -> Found:
    """Return the settings with the database that is meant."""
    from taskflow_bootstrap.discovery import find

    return find(settings_told(), data_dir)
