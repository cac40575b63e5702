"""How every error ends: what is told, and the exit code, which scripts may rely on.

====  =========================================================
code  means
====  =========================================================
0     done
1     not done, or not all of it; the output says why
2     wrong usage
3     invalid input
4     not found, or not to be seen
5     forbidden
6     who asks is not known
7     the present state does not allow it (taken, last admin, not dead, …)
8     it changed since it was read
9     a dependency cannot serve this now; later it may
10    settings are missing or wrong
11    it cannot start: a port or a data directory in use, a database that cannot be used
12    too many requests, or failed log-ins; later it may be done
13    an idempotency key was another request's
14    a notice was refused for good
130   interrupted
====  =========================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click
import msgspec

from taskflow_bootstrap.errors import SettingsError, StartError
from taskflow_cli.advice import advice, missing, where
from taskflow_cli.output import escaped
from taskflow_cli.tables import printable
from taskflow_core import (
    BatchFailed,
    Conflict,
    Forbidden,
    InvalidInput,
    KeyReused,
    NotFound,
    RateLimited,
    TaskFlowError,
    Unauthenticated,
    Unavailable,
    Undeliverable,
    VersionMismatch,
)
from taskflow_http.problems import fault_entries, outcome, problem

INCOMPLETE: Final = 1

EXIT_CODES: Final[Mapping[type[Exception], int]] = {
    InvalidInput: 3,
    NotFound: 4,
    Forbidden: 5,
    Unauthenticated: 6,
    Conflict: 7,
    VersionMismatch: 8,
    Unavailable: 9,
    SettingsError: 10,
    StartError: 11,
    RateLimited: 12,
    KeyReused: 13,
    Undeliverable: 14,
}
"""The nearest base class that stands here decides."""


def exit_code(error: type[BaseException]) -> int | None:
    """Return the exit code of an error's class; None where it is a fault of ours."""
    return next((EXIT_CODES[base] for base in error.__mro__ if base in EXIT_CODES), None)


def tell(error: Exception, *, as_json: bool) -> int | None:
    """Write the error to standard error and return its exit code; None where it is a fault of ours."""
    code = exit_code(type(error))
    if code is None:
        return None
    click.echo(escaped(_as_json(error)) if as_json else printable(_as_text(error)), err=True)
    return code


def faults_of(error: InvalidInput) -> list[dict[str, str]]:
    """Return the faults as the API's problems list them."""
    return [
        {"pointer": str(entry.pointer), "detail": entry.detail}
        for entry in fault_entries(error, in_query=False)
    ]


def _as_json(error: Exception) -> bytes:
    if not isinstance(error, TaskFlowError):
        return msgspec.json.encode({"code": "cannot_start", "detail": str(error)})
    document = problem(error)
    if isinstance(error, InvalidInput):
        document.errors = fault_entries(error, in_query=False)
    if isinstance(error, BatchFailed):
        document.results = [outcome(result) for result in error.results]
    reason = _reason_of(error)
    told = msgspec.to_builtins(document)
    return msgspec.json.encode(told if reason is None else told | {"reason": reason})


def _reason_of(error: Exception) -> str | None:
    """Return what a dependency or its driver said: unlike the API's clients, the operator has its address."""
    if not isinstance(error, Unavailable):
        return None
    from taskflow_http.redaction import redacted
    from taskflow_worker.tries import reason_of

    reason = reason_of(error)
    return None if reason is None else printable(redacted(reason))


def _as_text(error: Exception) -> str:
    lines = [f"Error: {_detail(error)}"]
    reason = _reason_of(error)
    if reason is not None:
        lines.append(f"  {reason}")
    if isinstance(error, InvalidInput):
        lines += [f"  {where(fault)} {fault.detail}" for fault in error.faults]
    if isinstance(error, BatchFailed):
        lines += [f"  {result.id}  {result.error.detail}" for result in error.results if result.error]
    return "\n".join([*lines, *advice(error)])


def _detail(error: Exception) -> str:
    if isinstance(error, NotFound) and error.detail == NotFound.default_detail:
        return printable(missing() or error.detail)
    return error.detail if isinstance(error, TaskFlowError) else str(error)
