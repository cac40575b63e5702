"""What is wrong and what to do about it, in the words of the command that was given."""

from __future__ import annotations

from typing import Any, Final

import click

from taskflow_core import (
    EmailTaken,
    Fault,
    Forbidden,
    InvalidInput,
    LastAdmin,
    NotFound,
    TaskFlowError,
    Unauthenticated,
    Unavailable,
    VersionMismatch,
)

CONTEXT: Final = "taskflow_cli.context"
"""Under this name a command leaves its context, which is gone when its error is told."""

_PARAMETERS: Final = {"user_id": "owner", "due_date": "due", "max_tries": "tries", "number": "count"}
"""The core's names of fields whose options are called otherwise."""
_THINGS: Final = {
    "task_id": "task",
    "task_ids": "task",
    "job_id": "job",
    "job_ids": "job",
    "session_id": "session",
    "who": "account",
}
_ADVICE: Final[dict[type[TaskFlowError], str]] = {
    EmailTaken: "To see who has it: taskflow users list --search EMAIL",
    LastAdmin: "To make one: taskflow users set-role EMAIL admin",
    Unauthenticated: "The operator has no account: name one, or act as a person with --as EMAIL.",
    Unavailable: "To see what is wrong: taskflow doctor",
    VersionMismatch: "Look at it again, and give its present version with --if-version.",
}


def where(fault: Fault) -> str:
    """Return what a fault is about: the option or the argument of the command, else the field."""
    if not fault.path:
        return "input"
    field = str(fault.path[0])
    parameter = _parameters().get(_PARAMETERS.get(field, field))
    if parameter is None:
        return "/".join(map(str, fault.path))
    return parameter.make_metavar(_context()) if isinstance(parameter, click.Argument) else parameter.opts[0]


def missing() -> str | None:
    """Return what does not exist; None where the command names no one thing."""
    given: dict[str, Any] = _context().params
    for name, thing in _THINGS.items():
        values = given.get(name) or ()
        distinct = set(values) if isinstance(values, tuple) else {values}
        if len(distinct) == 1:
            return f"There is no {thing} {distinct.pop()}{_seen()}."
    return None


def advice(error: Exception) -> list[str]:
    """Return what to do next, a line each."""
    if isinstance(error, Forbidden | NotFound) and _person() is not None:
        return ["Without --as you act as the operator, who may see and do everything."]
    if isinstance(error, NotFound):
        return _lists()
    if isinstance(error, InvalidInput) and "owner" in _parameters():
        if any(fault.path == ("user_id",) for fault in error.faults):
            return ["Name the owner with --owner EMAIL, or act as that person with --as EMAIL."]
        return []
    return [text for kind, text in _ADVICE.items() if isinstance(error, kind)]


def _lists() -> list[str]:
    names = [thing for name, thing in _THINGS.items() if _context().params.get(name)]
    commands = {
        "task": "taskflow tasks list (or with --deleted, those that were deleted)",
        "job": "taskflow jobs list",
        "account": "taskflow users list",
        "session": "taskflow sessions list EMAIL",
    }
    return [f"To see what there is: {commands[name]}" for name in names[:1]]


def _context() -> click.Context:
    found = click.get_current_context().meta.get(CONTEXT)
    return found if isinstance(found, click.Context) else click.get_current_context()


def _parameters() -> dict[str, click.Parameter]:
    return {parameter.name: parameter for parameter in _context().command.params if parameter.name}


def _person() -> str | None:
    person: str | None = _context().params.get("as_email")
    return person


def _seen() -> str:
    return "" if _person() is None else f" that {_person()} may see"
