"""Which statements a request runs, and how many pages of the database each touches."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, cast
from unittest.mock import patch

import psycopg
from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncEngine

from taskflow_sqlalchemy.exchanges import Native, NativeExchange, native
from taskflow_system import Uuid7

Driver = psycopg.AsyncConnection[tuple[Any, ...]]

_ENDS: Final = ("BEGIN", "COMMIT", "ROLLBACK")
_new_id: Final = Uuid7()


class Run(NamedTuple):
    """A statement as it was run."""

    text: str
    parameters: Mapping[str, Any]


@contextmanager
def recording() -> Iterator[list[Run]]:
    """Collect what is run meanwhile."""
    recorded: list[Run] = []
    run = NativeExchange.__call__

    async def record(exchange: NativeExchange, *statements: tuple[str, Mapping[str, Any]]) -> Any:
        recorded.extend(Run(*statement) for statement in statements)
        return await run(exchange, *statements)  # type: ignore[arg-type]  # a mapping will do

    with patch.object(NativeExchange, "__call__", record):
        yield recorded


@asynccontextmanager
async def only_connection(engine: AsyncEngine) -> AsyncIterator[Driver]:
    """The connection of an engine that has one."""
    pooled = await engine.raw_connection()
    driver = cast("Driver", pooled.driver_connection)
    try:
        yield driver
    finally:
        pooled.close()


class Buffers(NamedTuple):
    """Pages touched (found in shared buffers or read) by all statements of a request.

    Attributes:
        run: By the plan that TaskFlow's connections run.
        custom: By one made for these very values.
        plans: Both plans of each statement.
    """

    run: int
    custom: int
    plans: tuple[dict[str, Any], ...]


async def explain(driver: Driver, runs: list[Run]) -> Buffers:
    """Run the statements of a request again, each as it is prepared on this connection, and take all back.

    EXPLAIN (ANALYZE, BUFFERS) of EXECUTE, so that it is the very plan that the server uses for them.
    """
    as_run, plans = await _explain(driver, runs, None)
    custom, more = await _explain(driver, runs, "force_custom_plan")
    return Buffers(as_run, custom, (*plans, *more))


async def _explain(driver: Driver, runs: list[Run], mode: str | None) -> tuple[int, list[dict[str, Any]]]:
    pages = 0
    plans = []
    await driver.execute("BEGIN")
    try:
        if mode is not None:
            await driver.execute(f"SET LOCAL plan_cache_mode = {mode}")
        for run in runs:
            if not run.text.startswith(_ENDS):
                plan = await _explained(driver, _anew(run))
                pages += _touched(plan["Plan"])
                plans.append({"Mode": mode or "as run", **plan})
    finally:
        # Past the driver, which on a ROLLBACK that it sees forgets all that is prepared.
        driver.pgconn.exec_(b"ROLLBACK")
    return pages, plans


def _anew(run: Run) -> Run:
    """Return the same, of tasks and steps of their history that are not there already."""
    if "history" not in run.parameters:
        return run
    parameters = dict(run.parameters)
    entries = json.loads(parameters["history"])
    for entry in entries:
        entry["version"] += 1_000_000
    parameters["history"] = json.dumps(entries)
    if "INSERT INTO tasks" in run.text:
        for made in json.loads(parameters["tasks"]):
            id = str(_new_id(datetime.now(UTC)))
            for name in ("tasks", "history"):
                parameters[name] = parameters[name].replace(made["id"], id)
    return Run(run.text, parameters)


async def _explained(driver: Driver, run: Run) -> dict[str, Any]:
    statement = native(run.text)
    name = await _prepared(driver, statement)
    values = [sql.Literal(run.parameters[each]) for each in statement.parameters]
    given = sql.SQL(" ({})").format(sql.SQL(", ").join(values)) if values else sql.SQL("")
    explain = sql.SQL("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE {}{}")
    cursor = await driver.execute(explain.format(sql.Identifier(name), given), prepare=False)
    row = await cursor.fetchone()
    assert row is not None
    return cast("dict[str, Any]", row[0][0])


async def _prepared(driver: Driver, statement: Native) -> str:
    """Return the name under which the connection has prepared a statement."""
    find = "SELECT name FROM pg_prepared_statements WHERE statement = %s"
    row = await (await driver.execute(find, [statement.text.decode()], prepare=False)).fetchone()
    if row is None:
        raise LookupError(f"This is not prepared: {statement.text.decode()}")
    return cast("str", row[0])


def _touched(plan: Mapping[str, Any]) -> int:
    """Return the pages of a whole statement.

    A node's numbers include those of all below it, except writes in a WITH that nothing reads: these run
    when the rest is done.
    """
    read = {node["CTE Name"] for node in _nodes(plan) if "CTE Name" in node}
    late = [
        node
        for node in _nodes(plan)
        if node["Node Type"] == "ModifyTable"
        and node.get("Subplan Name", "").startswith("CTE ")
        and node["Subplan Name"].removeprefix("CTE ") not in read
    ]
    return sum(int(node["Shared Hit Blocks"]) + int(node["Shared Read Blocks"]) for node in [plan, *late])


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def outline(plan: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """Yield a plan's nodes, a line each."""
    told = [plan["Node Type"], plan.get("Index Name", ""), f"rows={plan['Actual Rows']}"]
    for key in ("Index Cond", "Filter", "Rows Removed by Filter", "Heap Fetches"):
        told += [f"{key.lower()}={plan[key]}"] if key in plan else []
    yield (
        "  " * depth
        + " ".join(filter(None, map(str, told)))
        + f" [{plan['Shared Hit Blocks'] + plan['Shared Read Blocks']} pages]"
    )
    for child in plan.get("Plans", ()):
        yield from outline(child, depth + 1)


async def counted(driver: Driver) -> tuple[int, int]:
    """Return what the server has counted since `forget_counts`: statements, and pages they touched.

    Unlike EXPLAIN it counts what triggers do, such as checking a foreign key.
    """
    cursor = await driver.execute(
        "SELECT coalesce(sum(calls), 0)::int8, coalesce(sum(shared_blks_hit + shared_blks_read), 0)::int8 "
        "FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid AND datname = current_database() "
        "WHERE query !~* '^(BEGIN|COMMIT|ROLLBACK)' AND query !~ 'pg_stat_statements'",
        prepare=False,
    )
    row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1]


async def forget_counts(driver: Driver) -> None:
    """Let `counted` begin at zero."""
    await driver.execute("SELECT pg_stat_statements_reset()", prepare=False)
