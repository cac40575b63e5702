"""Statements to PostgreSQL and their answers back, in one round trip.

A cursor and a pipeline of the driver take more CPU than PostgreSQL does for a statement of ours: all that
a change needs took 390 us by them and takes 190 this way. So this speaks to libpq as the driver's own
cursors do. Parameters go as text, and the statement says what they are; rows come in binary, by the
driver's loaders. How long an answer is waited for, and how a cancelled task cancels its statement, stands in
`taskflow_sqlalchemy.silence`.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias
from uuid import UUID

import psycopg
from psycopg import errors as pg
from psycopg.adapt import Transformer
from psycopg.generators import fetch_many, send
from psycopg.pq import ConnStatus, ExecStatus, Format

from taskflow_sqlalchemy.silence import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from psycopg.abc import PQGen
    from psycopg.abc import Transformer as AbstractTransformer
    from psycopg.pq.abc import PGconn, PGresult

    from taskflow_sqlalchemy.statements import Statement

Driver: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]

_PREPARE_AT: Final = 5
"""A connection prepares a statement that it runs for this time; what is rare is not worth its memory."""
_PREPARED_MAX: Final = 200
_FAILED: Final = frozenset({ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED})
_LOST: Final = (pg.InvalidSqlStatementName, pg.FeatureNotSupported)
"""A prepared statement is gone, or its tables changed since ("cached plan must not change result type")."""


class Demoted(psycopg.OperationalError):
    """The server is a standby or read-only: it is not the primary, or not any more."""


def is_demoted(pgconn: PGconn) -> bool:
    """Return whether the server has said that it takes no writes.

    PostgreSQL reports both parameters by itself, at connecting and with the answer after a change.
    """
    return b"on" in (
        pgconn.parameter_status(b"in_hot_standby"),
        pgconn.parameter_status(b"default_transaction_read_only"),
    )


class Answer(NamedTuple):
    """What came back for a statement."""

    rows: list[tuple[Any, ...]]
    touched: int


class Exchange(Protocol):
    """A connection to run statements on."""

    @property
    def closed(self) -> bool:
        """Whether it is of no use any more."""
        ...

    def require_primary(self) -> None:
        """Check that what was read came from the primary.

        Raises:
            Demoted: The server takes no writes, so what it says may be old.
        """
        ...

    async def __call__(self, *statements: Statement) -> list[Answer]:
        """Run statements in order, in one round trip; the first that fails raises, those after it do not run.

        Raises:
            psycopg.Error: As the server or the driver says it.
        """
        ...


class CursorExchange:
    """By the driver's cursors: for a connection that others use too, with their settings."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    @property
    def closed(self) -> bool:
        return self._driver.closed

    def require_primary(self) -> None:
        if is_demoted(self._driver.pgconn):
            raise Demoted("the server takes no writes")

    async def __call__(self, *statements: Statement) -> list[Answer]:
        if len(statements) == 1:
            cursors = [await self._sent(statements[0])]
        else:
            async with self._driver.pipeline():
                cursors = [await self._sent(statement) for statement in statements]
        return [Answer(await c.fetchall() if c.description else [], c.rowcount) for c in cursors]

    async def _sent(self, statement: Statement) -> psycopg.AsyncCursor[tuple[Any, ...]]:
        sql, parameters = statement
        return await self._driver.execute(sql, parameters or None, binary=True)


class NativeExchange:
    """By libpq: for a connection that is this package's own. It remembers what it has prepared.

    Args:
        driver: The connection.
        statement_timeout: The connection's, in seconds; None where it has none, and so waits without end.

    Attributes:
        demoted: Whether the server has said or shown that it takes no writes.
    """

    __slots__ = ("_driver", "_loaders", "_prepared", "_refused", "_uses", "listener")

    def __init__(self, driver: Driver, statement_timeout: float | None = None) -> None:
        self._driver = driver
        self.listener = Listener(driver, statement_timeout)
        self._uses: Counter[bytes] = Counter()
        self._prepared: set[bytes] = set()
        self._loaders: dict[bytes, AbstractTransformer] = {}
        self._refused = False

    @property
    def demoted(self) -> bool:
        return self._refused or (not self.closed and is_demoted(self._driver.pgconn))

    def require_primary(self) -> None:
        if self.demoted:
            raise Demoted("the server takes no writes")

    @property
    def closed(self) -> bool:
        return self._driver.closed

    async def __call__(self, *statements: Statement) -> list[Answer]:
        calls = [_call(sql, parameters) for sql, parameters in statements]
        driver = self._driver
        try:
            async with driver.lock:
                results = await self.listener(self._run(driver.pgconn, calls), statements)
        except pg.ReadOnlySqlTransaction:
            self._refused = True
            raise
        except _LOST as error:
            driver.pgconn.finish()
            raise psycopg.OperationalError("the connection's prepared statements are of no use") from error
        return [self._answer(call.native, result) for call, result in zip(calls, results, strict=True)]

    def _run(self, pgconn: PGconn, calls: Sequence[_Call]) -> PQGen[list[PGresult]]:
        due = list(dict.fromkeys(call.native for call in calls if self._is_due(call.native)))
        if len(calls) == 1 and not due:
            self._send(pgconn, calls[0], ())
            yield from send(pgconn)
            result = (yield from fetch_many(pgconn))[-1]
            if result.status in _FAILED:
                raise pg.error_from_result(result)
            return [result]
        pgconn.enter_pipeline_mode()
        try:
            return (yield from self._pipeline(pgconn, calls, due))
        finally:
            _leave_pipeline(pgconn)

    def _pipeline(
        self, pgconn: PGconn, calls: Sequence[_Call], due: Sequence[Native]
    ) -> PQGen[list[PGresult]]:
        for statement in due:
            pgconn.send_prepare(statement.name, statement.text)
        for call in calls:
            self._send(pgconn, call, due)
        pgconn.pipeline_sync()
        yield from send(pgconn)
        results = yield from _collected(pgconn, len(due) + len(calls))
        self._prepared |= {s.name for s, r in zip(due, results, strict=False) if r.status not in _FAILED}
        for result in results:
            if result.status in _FAILED:
                raise pg.error_from_result(result)
        return results[len(due) :]

    def _is_due(self, statement: Native) -> bool:
        """Return whether this is the time to prepare a statement."""
        if statement.name in self._prepared or self._driver.prepare_threshold is None:
            return False
        self._uses[statement.name] += 1
        return self._uses[statement.name] >= _PREPARE_AT and len(self._prepared) < _PREPARED_MAX

    def _send(self, pgconn: PGconn, call: _Call, due: Collection[Native]) -> None:
        statement, values = call
        if statement.name in self._prepared or statement in due:
            pgconn.send_query_prepared(statement.name, values, None, Format.BINARY)
        else:
            pgconn.send_query_params(statement.text, values, None, None, Format.BINARY)

    def _answer(self, statement: Native, result: PGresult) -> Answer:
        if result.status != ExecStatus.TUPLES_OK:
            return Answer([], result.command_tuples or 0)
        loader = self._loaders.get(statement.name)
        if loader is None:
            loader = Transformer(self._driver)
            loader.set_pgresult(result, format=Format.BINARY)
            if statement.name in self._prepared:
                self._loaders[statement.name] = loader
        else:
            loader.set_pgresult(result, set_loaders=False)
        rows = loader.load_rows(0, result.ntuples, tuple)
        loader.set_pgresult(None, set_loaders=False)
        return Answer(rows, len(rows))


def _collected(pgconn: PGconn, number: int) -> PQGen[list[PGresult]]:
    """Return the results of a pipeline; all of them, or those up to one that failed and maybe more."""
    results: list[PGresult] = []
    try:
        while len(results) < number:
            results.append((yield from fetch_many(pgconn))[-1])
        yield from fetch_many(pgconn)
    except psycopg.OperationalError:
        # A server that ends a connection says why before it does.
        if not any(result.status in _FAILED for result in results):
            raise
    return results


def _leave_pipeline(pgconn: PGconn) -> None:
    if pgconn.status != ConnStatus.OK:
        return
    try:
        pgconn.exit_pipeline_mode()
    except psycopg.OperationalError:
        # Answers are still under way, to nobody.
        pgconn.finish()


class Native(NamedTuple):
    """A statement as PostgreSQL takes it: its parameters by number, and what it is prepared as."""

    text: bytes
    parameters: tuple[str, ...]
    name: bytes


_named: Final = re.compile(r"%\((\w+)\)s")
_numbers: Final = count(1)


@lru_cache(maxsize=4096)
def native(sql: str) -> Native:
    """Return a statement, whose parameters stand in it as `%(name)s`, as PostgreSQL takes it."""
    names = tuple(dict.fromkeys(_named.findall(sql)))
    numbers = {name: f"${number}" for number, name in enumerate(names, 1)}
    text = _named.sub(lambda found: numbers[found[1]], sql)
    return Native(text.encode(), names, b"taskflow_%d" % next(_numbers))


class _Call(NamedTuple):
    """A statement and the values of its parameters."""

    native: Native
    values: Sequence[bytes | None]


def _call(sql: str, parameters: Mapping[str, Any]) -> _Call:
    statement = native(sql)
    return _Call(statement, [_encoded(parameters[name]) for name in statement.parameters])


def _text(value: str) -> bytes:
    encoded = value.encode()
    if b"\0" in encoded:
        # libpq would take what stands before it for the whole.
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return encoded


_ENCODERS: Final[dict[type, Callable[[Any], bytes | None]]] = {
    type(None): lambda _: None,
    bool: lambda value: b"true" if value else b"false",
    # In UTC: PostgreSQL takes no offset of 16 hours or more, which RFC 3339 allows.
    datetime: lambda value: value.astimezone(UTC).isoformat().encode(),
    int: lambda value: b"%d" % value,
    bytes: lambda value: b"\\x" + value.hex().encode(),
    list: lambda value: b"{" + b",".join(map(_element, value)) + b"}",
    timedelta: lambda value: b"%d microseconds" % (value // timedelta(microseconds=1)),
    str: _text,
    UUID: lambda value: str(value).encode(),
}
"""By exact type; a list is one of what needs no escaping: ids, times, intervals."""


def _element(value: object) -> bytes:
    encoded = _encoded(value)
    if encoded is None or b'"' in encoded or b"\\" in encoded:
        raise psycopg.DataError("an array of ids, times and intervals cannot hold this")
    return b'"' + encoded + b'"'


def _encoded(value: object) -> bytes | None:
    encode = _ENCODERS.get(type(value))
    if encode is None:
        encode = next(_ENCODERS[base] for base in type(value).__mro__ if base in _ENCODERS)
    return encode(value)
