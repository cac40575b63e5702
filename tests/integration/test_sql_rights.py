"""The rights that docs/operations.md gives a role that only serves are enough, and who lacks some is told."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from support.real_api import open_instances, settings_of
from support.workers import add_job
from taskflow_bootstrap.doctor import Finding, Level, examine
from taskflow_core import Unavailable
from taskflow_core.use_cases.ledger.run import Outcome
from taskflow_sqlalchemy import (
    MigrationError,
    SqlAlchemyLedgerReads,
    SqlAlchemyTransactions,
    inspect,
    lacks_right,
    migrate,
    open_engine,
)
from taskflow_sqlalchemy.tables import metadata

OPERATIONS = Path(__file__).parents[2] / "docs/operations.md"
(GRANTS,) = re.findall(
    r"migrate as one role and serve as another.*?```sql\n(.*?)```", OPERATIONS.read_text("utf-8"), re.DOTALL
)


@pytest.fixture
def role(database: psycopg.Connection[Any]) -> Iterator[str]:
    """A role that may sign in and do nothing."""
    name = f"app_{uuid4().hex}"
    database.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(sql.Identifier(name)))
    yield name
    database.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
    database.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def url_of(database_url: str, role: str) -> str:
    return make_url(database_url).set(username=role, password="secret").render_as_string(hide_password=False)


async def database_findings(url: str, redis_url: str, tmp_path: Path) -> dict[str, Finding]:
    found = examine(settings_of(url, redis_url), environ={}, env_file=tmp_path / ".env")
    return {finding.check: finding async for finding in found if not finding.check.startswith("redis")}


def test_every_table_is_granted() -> None:
    granted = " ".join(re.findall(r"ON ([a-z_,\s]+?) TO", GRANTS.replace("ON SCHEMA public", "")))
    assert set(re.findall(r"\w+", granted)) == {*metadata.tables, "alembic_version"}


async def test_the_documented_rights_are_enough(
    database_url: str, database: psycopg.Connection[Any], role: str, redis_url: str, tmp_path: Path
) -> None:
    database.execute(GRANTS.replace("taskflow_app", role).encode())
    url = url_of(database_url, role)
    async with open_instances(url, redis_url) as (api,):
        ann = await api.person()
        keyed = {"json": {"title": "A task"}, "headers": {"Idempotency-Key": "one"}}
        first, again = [await api.call(ann, "POST", "/tasks", **keyed) for _ in range(2)]
        assert (first.status_code, again.text) == (201, first.text)
        engine = open_engine(url)
        await add_job(SqlAlchemyTransactions(engine), "sample.refund", payload={"fail": "0"})
        await engine.dispose()
        database.execute("UPDATE scans SET due_at = now()")
        assert await api.use_cases.schedule_clean_up()
        await api.use_cases.notify_overdue()
        await api.use_cases.reconcile()
        outcomes = []
        while (ran := await api.use_cases.run_job()) is not None:
            outcomes.append(ran.outcome)
        assert set(outcomes) == {Outcome.DONE}
        assert len(outcomes) > 6
        assert (await api.call(ann, "DELETE", f"/tasks/{first.json()['id']}")).status_code == 204
        assert (await api.client.get("/health/ready")).status_code == 200
    findings = await database_findings(url, redis_url, tmp_path)
    assert {finding.level for finding in findings.values()} == {Level.OK}


async def test_migrate_grants_what_the_documents_list_and_no_more(
    fresh_database_url: str, database: psycopg.Connection[Any], role: str
) -> None:
    for _ in range(2):
        await migrate(fresh_database_url, grant_to=role)
    database.execute(GRANTS.replace("taskflow_app", role).encode())
    granted = """SELECT relname, array_agg(DISTINCT privilege_type::text)
        FROM pg_class, aclexplode(relacl) WHERE grantee = %s::regrole GROUP BY relname"""
    with psycopg.connect(fresh_database_url, autocommit=True) as fresh:
        rights: dict[str, list[str]] = dict(fresh.execute(granted, [role]).fetchall())
        fresh.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
    assert rights == dict(database.execute(granted, [role]).fetchall())
    assert rights["alembic_version"] == ["SELECT"]


async def test_a_role_that_is_not_there_is_told(database_url: str) -> None:
    with pytest.raises(MigrationError, match="does not exist"):
        await migrate(database_url, grant_to='no"body')


async def test_who_lacks_a_right_is_told_which(
    database_url: str, database: psycopg.Connection[Any], role: str, redis_url: str, tmp_path: Path
) -> None:
    database.execute(GRANTS.replace("taskflow_app", role).encode())
    database.execute(sql.SQL("REVOKE SELECT ON ledger FROM {}").format(sql.Identifier(role)))
    database.execute(sql.SQL("REVOKE DELETE ON scans FROM {}").format(sql.Identifier(role)))
    url = url_of(database_url, role)
    engine = open_engine(url)
    with pytest.raises(Unavailable, match="lacks a right") as caught:
        await SqlAlchemyLedgerReads(engine).stats()
    await engine.dispose()
    assert lacks_right(caught.value)
    assert "ledger" not in str(caught.value)
    findings = await database_findings(url, redis_url, tmp_path)
    assert findings["database rights"].level is Level.FAIL
    assert f'ON ledger, scans TO "{role}"' in findings["database rights"].advice
    assert findings["jobs"].level is Level.FAIL
    assert "GRANT" in findings["jobs"].advice


async def test_who_may_not_even_read_the_revision_is_told_too(
    database_url: str, role: str, redis_url: str, tmp_path: Path
) -> None:
    url = url_of(database_url, role)
    with pytest.raises(Unavailable, match="lacks a right"):
        await inspect(url)
    findings = await database_findings(url, redis_url, tmp_path)
    assert findings["database rights"].level is Level.FAIL
    assert "GRANT" in findings["database rights"].advice


async def test_a_count_that_fails_in_another_way_is_a_finding(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> None:
        raise psycopg.errors.IndexCorrupted

    monkeypatch.setattr(SqlAlchemyLedgerReads, "stats", fail)
    finding = (await database_findings(database_url, redis_url, tmp_path))["jobs"]
    assert finding.level is Level.FAIL
    assert "IndexCorrupted" in finding.detail
