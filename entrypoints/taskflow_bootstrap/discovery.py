"""Finds the database that a command is about: the environment's, or that of a running `taskflow dev`."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from taskflow_bootstrap.dev_servers import running
from taskflow_bootstrap.environment import trusted_owners
from taskflow_bootstrap.errors import SettingsError, StartError
from taskflow_bootstrap.settings import Settings, variable

DATA_DIR: Final = ".taskflow"


@dataclass(frozen=True, slots=True)
class Found:
    """Settings with a database.

    Attributes:
        data_dir: Of the `taskflow dev` whose database it is; None where it is the environment's.
    """

    settings: Settings
    data_dir: Path | None = None


def find(settings: Settings, data_dir: Path | None) -> Found:
    """Return the settings with the addresses of the database that is meant.

    A directory that was named goes first, then the environment, then `.taskflow` here or in a parent. One
    that was found is believed only if its owner is this user, root, or the user of sudo; one that was named
    to root may be anybody's.

    Raises:
        SettingsError: There is none; says how to get one.
        StartError: Nothing runs in the directory that was named, or a directory is not to be believed.
    """
    if data_dir is not None:
        found = _of_dev(settings, data_dir, None if os.geteuid() == 0 else trusted_owners())
        if found is None:
            raise StartError(
                f"No `taskflow dev` runs in {data_dir}. Start it: taskflow dev --data-dir {data_dir}"
            )
        return found
    if settings.database_url:
        return Found(settings)
    for candidate in _candidates(Path.cwd()):
        found = _of_dev(settings, candidate, trusted_owners())
        if found is not None:
            return found
    fault = (
        f"There is no database: {variable('database_url')} is not set, and no `taskflow dev` runs in "
        f"{DATA_DIR} here or in a parent. Set it, or start `taskflow dev` in another terminal."
    )
    raise SettingsError([fault])


def _candidates(start: Path) -> Iterator[Path]:
    return (parent / DATA_DIR for parent in (start, *start.parents))


def _of_dev(settings: Settings, data_dir: Path, owners: Collection[int] | None) -> Found | None:
    state = running(data_dir, owners)
    if state is None:
        return None
    try:
        urls = {"database_url": state["databaseUrl"], "redis_url": state["redisUrl"]}
        own = msgspec.structs.replace(settings, **urls, jwt_secret=(state["jwtSecret"],))
    except KeyError:
        raise StartError(f"Another version of TaskFlow runs in {data_dir}. Restart `taskflow dev`.") from None
    return Found(own, data_dir)
