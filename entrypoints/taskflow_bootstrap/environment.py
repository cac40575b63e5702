"""Where settings come from: the environment, a `.env` file, and files that hold one secret each."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Final

from taskflow_bootstrap.errors import SettingsError

PREFIX: Final = "TASKFLOW_"
FILE_SUFFIX: Final = "_FILE"
SECRET_BYTES_MAX: Final = 64 * 1024


def read_environment(environ: Mapping[str, str], env_file: Path | None = None) -> dict[str, str]:
    """Return the `TASKFLOW_*` variables of the environment and, where it has none of a name, of the file.

    What is set to nothing counts as not set, as Compose and systemd write it.

    Raises:
        SettingsError: A line of the file cannot be understood, or the file cannot be read.
    """
    found = dict(_read_file(env_file)) if env_file is not None and env_file.is_file() else {}
    # A variable of the environment stands for its `_FILE` twin in the file too: the nearer one wins whole.
    for name in environ:
        found.pop(name + FILE_SUFFIX, None)
        found.pop(name.removesuffix(FILE_SUFFIX), None)
    found |= environ
    return {name: value for name, value in found.items() if name.startswith(PREFIX) and value.strip()}


def read_secret_files(
    variables: Mapping[str, str], secrets: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """Return the variables with each `…_FILE` of a secret replaced by what is in the file, and the faults.

    Args:
        variables: As `read_environment` returns them.
        secrets: The names that have a `_FILE` twin.
    """
    values, faults = dict(variables), []
    for name in secrets:
        path = values.pop(name + FILE_SUFFIX, None)
        if path is None:
            continue
        if name in values:
            faults.append(f"{name} and {name}{FILE_SUFFIX} are both set; set one of them.")
            continue
        try:
            values[name] = _read_secret(Path(path))
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            faults.append(f"{name}{FILE_SUFFIX} names {path}, which cannot be used: {why}.")
    return values, faults


def unknown_variables(variables: Mapping[str, str], known: Collection[str]) -> list[str]:
    """Return a sentence for each variable that no setting has, with the likeliest name that was meant."""
    return [_unknown(name, known) for name in sorted(variables) if name not in known]


def _unknown(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"{name} is not a setting of TaskFlow and has no effect.{hint}"


def _read_file(path: Path) -> Iterator[tuple[str, str]]:
    from dotenv.parser import parse_stream  # noqa: PLC0415 - most processes find no file

    try:
        with path.open(encoding="utf-8-sig") as stream:
            _refuse_if_untrusted(path, stream)
            bindings = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError([f"{path} cannot be read: {why}."]) from error
    for binding in bindings:
        if binding.error:
            # The line itself may hold a secret.
            raise SettingsError([f"{path}, line {binding.original.line}: this is not NAME=value."])
        if binding.key is not None and binding.value is not None:
            yield binding.key, binding.value


def trusted_owners() -> frozenset[int]:
    """Return the users whose files in the working directory are believed: this one, root, who used sudo."""
    sudo = os.environ.get("SUDO_UID", "") if os.geteuid() == 0 else ""
    return frozenset({0, os.geteuid(), *([int(sudo)] if sudo.isdecimal() else [])})


def _refuse_if_untrusted(path: Path, stream: IO[str]) -> None:
    """Refuse a file that another user may have put into a shared directory: it names databases."""
    found, link = os.fstat(stream.fileno()), path.lstat()
    strangers = {found.st_uid, link.st_uid} - trusted_owners()
    if strangers:
        advice = "Remove it, make it yours (chown), or work in another directory."
        raise SettingsError([f"{path.absolute()} belongs to user {strangers.pop()}, not to you. {advice}"])
    if found.st_mode & stat.S_IWOTH:
        raise SettingsError([f"Every user may write to {path.absolute()}: chmod o-w {path}"])


def _read_secret(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(SECRET_BYTES_MAX + 1)
    if len(content) > SECRET_BYTES_MAX:
        raise ValueError("it is too large for a secret")
    # Editors on Windows put a byte order mark before the text.
    text = content.decode("utf-8-sig").strip()
    if not text:
        raise ValueError("it is empty")
    return text
