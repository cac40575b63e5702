"""What the other integration tests take for granted about the servers they are given."""

from collections.abc import Callable

import psycopg
import pytest
import redis


def query(url: str, sql: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(sql).fetchone()
        return row and row[0]


def test_statements_are_counted(postgres_url: str) -> None:
    assert query(postgres_url, "SELECT count(*) > 0 FROM pg_stat_statements") is True


def test_databases_are_postgresql_18_and_do_not_wait_for_the_disk(fresh_database_url: str) -> None:
    assert query(fresh_database_url, "SELECT current_setting('server_version_num')::int / 10000") == 18
    assert query(fresh_database_url, "SHOW fsync") == "off"


def test_databases_are_empty_and_apart(new_database: Callable[..., str]) -> None:
    one, other = new_database(migrated=False), new_database(migrated=False)
    with psycopg.connect(one) as connection:
        connection.execute("CREATE TABLE here (id int)")
    assert query(one, "SELECT to_regclass('here') IS NOT NULL") is True
    assert query(other, "SELECT to_regclass('here') IS NOT NULL") is False


@pytest.mark.parametrize("turn", ["first", "second"])
def test_every_test_finds_an_empty_redis(redis_url: str, turn: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set(turn, "left behind")
