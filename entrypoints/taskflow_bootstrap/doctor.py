"""Looks at all that TaskFlow needs to run well, and says what to do about what is not right."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from taskflow_bootstrap.environment import FILE_SUFFIX
from taskflow_bootstrap.settings import SECRETS, Settings, variable, without_password
from taskflow_core import JobStats, Unavailable
from taskflow_core.use_cases.ledger import clean_up, reconcile
from taskflow_core.use_cases.tasks import notify_overdue

SKEW_WARN_SECONDS: Final = 1.0
SKEW_FAIL_SECONDS: Final = 30.0
"""Past it, tokens of one instance are not yet valid on another."""
LATE_SECONDS: Final = 60.0
"""A job that has been due for longer waits for a worker, not for its turn; a scan, for a scheduler."""
SCANS: Final = (clean_up.SCAN, notify_overdue.SCAN, reconcile.SCAN)
_GRANTS: Final = 'As the tables\' owner, in psql: the GRANTs of docs/operations.md, "An existing database".'
_VARIETY_MIN: Final = 10
"""Different characters that a secret made at random has at the very least."""
_REDIS_MIN: Final = {"Redis": (7, 2), "Valkey": (7, 2)}


class Level(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        check: What was looked at; stable, for programs.
        detail: What was found.
        advice: What to do about it; empty where all is well.
    """

    check: str
    level: Level
    detail: str
    advice: str = ""


async def examine(
    settings: Settings, *, warnings: Sequence[str] = (), environ: Mapping[str, str], env_file: Path
) -> AsyncIterator[Finding]:
    """Yield what is found, one check after the other.

    Args:
        settings: What TaskFlow would start with.
        warnings: As `load_settings` returns them.
        environ: The environment, for the files that it names.
        env_file: The `.env` that was read, where there is one.
    """
    own = (*_settings(warnings), *_secrets(settings), *_proxies(settings), *_files(environ, env_file))
    for finding in own:
        yield finding
    async for finding in _database(settings):
        yield finding
    async for finding in _redis(settings):
        yield finding


def _settings(warnings: Sequence[str]) -> Iterator[Finding]:
    for warning in warnings:
        yield Finding("settings", Level.WARN, warning, "Correct the name, or remove it.")
    if not warnings:
        yield Finding("settings", Level.OK, "every TASKFLOW_* variable is known and well-formed")


def _secrets(settings: Settings) -> Iterator[Finding]:
    name = variable("jwt_secret")
    if not settings.jwt_secret:
        advice = f'Set {name}: python -c "import secrets; print(secrets.token_urlsafe(48))"'
        yield Finding("secrets", Level.WARN, f"{name} is not set; needed by the API, not by workers", advice)
    elif any(len(set(secret)) < _VARIETY_MIN for secret in settings.jwt_secret):
        yield Finding(
            "secrets", Level.WARN, f"{name} does not look random", "Make one with secrets.token_urlsafe(48)."
        )
    else:
        count = len(settings.jwt_secret)
        more = f" (and {count - 1} older, still believed)" if count > 1 else ""
        yield Finding("secrets", Level.OK, f"{name} is long enough{more}")


def _proxies(settings: Settings) -> Iterator[Finding]:
    everyone = [network for network in settings.trusted_proxies if network.endswith("/0")]
    if everyone:
        detail = f"{variable('trusted_proxies')} trusts everybody ({', '.join(everyone)})"
        advice = "Name the proxies alone: else everybody writes an address of one's own, and no limit holds."
        yield Finding("proxies", Level.WARN, detail, advice)


def _files(environ: Mapping[str, str], env_file: Path) -> Iterator[Finding]:
    named = (environ.get(variable(name) + FILE_SUFFIX) for name in SECRETS)
    for path in (env_file, *(Path(name) for name in named if name)):
        # Docker and Kubernetes hand out secrets that all users of the container may read: it has one.
        if (
            path.is_file()
            and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
            and "run/secrets" not in str(path)
        ):
            detail = f"{path} can be read by other users of this machine"
            yield Finding("secret files", Level.WARN, detail, f"chmod 600 {path}")


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    from taskflow_sqlalchemy import inspect, lacks_right  # noqa: PLC0415 - the settings are told at once

    if not settings.database_url:
        yield _unset("database", "database_url", "postgresql://user:password@localhost:5432/taskflow")
        return
    where = without_password(settings.database_url)
    try:
        report = await inspect(settings.database_url)
    except (Unavailable, ValueError) as error:
        advice = (
            "Is PostgreSQL up, do host, port, user and password fit, does the database exist? "
            "`taskflow migrate` creates it and tells what keeps it from doing so."
        )
        if isinstance(error, Unavailable) and lacks_right(error):
            yield Finding("database rights", Level.FAIL, f"{where}: the role lacks a right", _GRANTS)
        else:
            yield Finding("database", Level.FAIL, f"{where}: {_with_reason(error)}", advice)
        return
    yield Finding("database", Level.OK, f"{where} answers")
    if report.supported:
        yield Finding("database version", Level.OK, f"PostgreSQL {report.server_version}")
    else:
        advice = "Upgrade it; see pg_upgrade in PostgreSQL's manual."
        yield Finding(
            "database version", Level.FAIL, f"PostgreSQL {report.server_version} is too old", advice
        )
    if report.read_only:
        advice = (
            "Use the address of the primary; see default_transaction_read_only of server, database and role."
        )
        detail = "the server is a standby or read-only, and refuses writes"
        yield Finding("database writes", Level.FAIL, detail, advice)
    yield _encoding(report.encoding)
    if report.closed_tables:
        yield _rights(report.role, report.closed_tables)
    yield _migrations(report.current, report.head)
    yield _skew(report.clock_skew_seconds)
    if report.current == report.head:
        for finding in await _jobs(settings):
            yield finding


def _encoding(encoding: str) -> Finding:
    if encoding == "UTF8":
        return Finding(
            "database encoding", Level.OK, "UTF8, and so on TaskFlow's connections (client_encoding)"
        )
    advice = "Copy it into one that is made by: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0;"
    return Finding("database encoding", Level.FAIL, f"the database's encoding is {encoding}", advice)


def _rights(role: str, tables: Sequence[str]) -> Finding:
    named = ", ".join(tables)
    detail = f"the role {role} may not read and write {named}"
    advice = f'As their owner, in psql: GRANT SELECT, INSERT, UPDATE, DELETE ON {named} TO "{role}";'
    return Finding("database rights", Level.FAIL, detail, advice)


def _migrations(current: str | None, head: str) -> Finding:
    if current == head:
        return Finding("migrations", Level.OK, f"at head, {head}")
    if current is None:
        return Finding(
            "migrations", Level.FAIL, "the database has no tables of TaskFlow yet", "taskflow migrate"
        )
    detail = f"the database is at {current}, this TaskFlow is made for {head}"
    advice = "taskflow migrate; where it says that it does not know the revision, upgrade TaskFlow"
    return Finding("migrations", Level.FAIL, detail, advice)


def _skew(seconds: float) -> Finding:
    detail = f"this machine's clock and the database's differ by {abs(seconds):.3f} s"
    advice = "Synchronise both machines by NTP (timedatectl status)."
    if abs(seconds) < SKEW_WARN_SECONDS:
        return Finding("clock", Level.OK, detail)
    level = Level.WARN if abs(seconds) < SKEW_FAIL_SECONDS else Level.FAIL
    return Finding("clock", level, detail, advice)


async def _jobs(settings: Settings) -> Sequence[Finding]:
    from taskflow_sqlalchemy import SqlAlchemyLedgerReads, lacks_right, open_engine  # noqa: PLC0415 - as above

    engine = open_engine(settings.database_url, pool_size=1, statement_timeout=settings.statement_timeout)
    try:
        stats, now = await SqlAlchemyLedgerReads(engine).stats(), datetime.now(UTC)
        return jobs_finding(stats, now), scans_finding(stats, now)
    except Unavailable as error:
        level, advice = (Level.FAIL, _GRANTS) if lacks_right(error) else (Level.WARN, "Try again.")
        return [Finding("jobs", level, f"they could not be counted: {error}", advice)]
    except Exception as error:  # noqa: BLE001 whatever it is, the doctor goes on
        detail = f"they could not be counted: {type(error).__name__}"
        return [Finding("jobs", Level.FAIL, detail, "PostgreSQL's log tells what it refused, and why.")]
    finally:
        await engine.dispose()


def jobs_finding(stats: JobStats, now: datetime) -> Finding:
    """Return what is to be said of background work."""
    due, dead = (sum(getattr(kind, what) for kind in stats.kinds) for what in ("due", "dead"))
    since = [kind.oldest_due_at for kind in stats.kinds if kind.oldest_due_at is not None]
    late = max(0.0, (now - min(since)).total_seconds()) if since else 0.0
    detail = f"{due} due" + (f", the oldest for {late:.0f} s" if since else "") + f"; {dead} dead"
    if late > LATE_SECONDS:
        advice = "Does `taskflow worker` run, and enough of it? Its log tells what fails."
        return Finding("jobs", Level.WARN, detail, advice)
    if dead:
        return Finding("jobs", Level.WARN, detail, "See why: taskflow jobs list --dead")
    return Finding("jobs", Level.OK, detail)


def scans_finding(stats: JobStats, now: datetime) -> Finding:
    """Return what is to be said of the schedulers."""
    late = {scan.name: (now - scan.due_at).total_seconds() for scan in stats.scans}
    missing = [name for name in SCANS if name not in late]
    if missing:
        rows = ", ".join(f"('{name}', now())" for name in missing)
        advice = f"Put them back, in psql: INSERT INTO scans VALUES {rows};"  # noqa: S608 told, not run
        return Finding("schedulers", Level.FAIL, f"no row in scans for {', '.join(missing)}", advice)
    name = max(SCANS, key=lambda name: late[name])
    if late[name] > LATE_SECONDS:
        detail = f"{name} has been due for {late[name]:.0f} s"
        return Finding(
            "schedulers", Level.WARN, detail, "Does `taskflow scheduler` run? Its log tells what fails."
        )
    return Finding("schedulers", Level.OK, "every scan is on time")


async def _redis(settings: Settings) -> AsyncIterator[Finding]:
    from taskflow_redis import inspect  # noqa: PLC0415 - as above

    if not settings.redis_url:
        yield _unset("redis", "redis_url", "redis://localhost:6379/0")
        return
    where = without_password(settings.redis_url)
    try:
        report = await inspect(settings.redis_url)
    except Unavailable as error:
        advice = "Is it up, and do host, port and password fit? Without it each process limits by itself."
        yield Finding("redis", Level.FAIL, f"{where}: {_with_reason(error)}", advice)
        return
    yield Finding("redis", Level.OK, f"{where} answers")
    if report.refusal:
        advice = "Use the address of a primary; see its log, its memory and disk, and the user's ACL."
        yield Finding("redis writes", Level.FAIL, report.refusal, advice)
    yield _redis_version(report.product, report.version)
    yield _eviction(report.eviction, report.memory_limit)
    yield _persistence(appends=report.appends, failed=report.last_write_failed)


def _redis_version(product: str, version: str) -> Finding:
    detail = f"{product} {version}"
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers and numbers < _REDIS_MIN[product]:
        return Finding("redis version", Level.WARN, f"{detail} is older than what is tested", "Upgrade it.")
    return Finding("redis version", Level.OK, detail)


def _eviction(policy: str, limit: int) -> Finding:
    detail = f"maxmemory-policy {policy}, maxmemory {limit or 'without limit'}"
    if policy == "noeviction":
        return Finding("redis eviction", Level.OK, detail)
    advice = "Set maxmemory-policy noeviction: else it drops queued hints and limits when memory is short."
    return Finding("redis eviction", Level.WARN, detail, advice)


def _persistence(*, appends: bool, failed: bool) -> Finding:
    if failed:
        advice = "See its log: the disk may be full or read-only, and it may refuse writes."
        return Finding("redis persistence", Level.FAIL, "its last write to disk failed", advice)
    if appends:
        return Finding("redis persistence", Level.OK, "appendonly yes")
    advice = "Set appendonly yes, so that limits and hints outlive its restart. Nothing else depends on it."
    return Finding("redis persistence", Level.WARN, "appendonly no", advice)


def _with_reason(error: Exception) -> str:
    """Return the error and, in its first line, what the driver or the server said."""
    from taskflow_http.redaction import redacted  # noqa: PLC0415 - as above
    from taskflow_worker.tries import reason_of  # noqa: PLC0415 - as above

    reason = reason_of(error)
    return str(error) if reason is None else f"{error} ({redacted(reason)})"


def _unset(check: str, name: str, example: str) -> Finding:
    advice = f"Set {variable(name)}={example}, or run `taskflow dev`."
    return Finding(check, Level.FAIL, f"{variable(name)} is not set", advice)
