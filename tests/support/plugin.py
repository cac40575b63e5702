"""The pytest plugin of this test suite: servers, databases, and what the run tells at its end.

| fixture | scope | is |
|---|---|---|
| `postgres_url` | session | the administrator's URL, `postgresql://…`, with pg_stat_statements created |
| `fresh_database_url` | test | an empty database |
| `database_url` | test | a database at head, copied from a template that is migrated once |
| `new_database` | test | a function for more than one: `new_database(migrated=True)` returns a URL |
| `redis_url` | test | a Redis or Valkey that is empty when the test starts |
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from support.databases import Databases
from support.servers import Servers, choose

_servers = pytest.StashKey[str]()


def pytest_configure() -> None:
    """Take Ctrl-C as it is meant, and hypothesis as it can be relied on.

    A shell ignores Ctrl-C in its background, and what it starts inherits that.
    """
    _set_hypothesis_up()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _set_hypothesis_up() -> None:
    """Have each run try the same examples, however long one takes: a busy machine is no counterexample."""
    if find_spec("hypothesis") is None:
        return
    from hypothesis import HealthCheck, settings

    slow = [HealthCheck.too_slow]
    settings.register_profile(
        "taskflow", derandomize=True, database=None, deadline=None, suppress_health_check=slow
    )
    settings.load_profile("taskflow")


@pytest.fixture(scope="session")
def _test_servers(pytestconfig: pytest.Config) -> Servers:
    servers = choose()
    pytestconfig.stash[_servers] = servers.describe()
    return servers


@pytest.fixture(scope="session")
def _databases(_test_servers: Servers) -> Iterator[Databases]:
    with _test_servers.postgres() as url, closing(Databases(url)) as databases:
        yield databases


@pytest.fixture(scope="session")
def postgres_url(_databases: Databases) -> str:
    return _databases.admin_url


@pytest.fixture
def new_database(_databases: Databases) -> Iterator[Callable[..., str]]:
    made: list[str] = []

    def new(*, migrated: bool = True) -> str:
        url = _databases.create_migrated() if migrated else _databases.create_empty()
        made.append(url)
        return url

    yield new
    for url in made:
        _databases.drop(url)


@pytest.fixture
def fresh_database_url(new_database: Callable[..., str]) -> str:
    return new_database(migrated=False)


@pytest.fixture
def database_url(new_database: Callable[..., str]) -> str:
    return new_database(migrated=True)


@pytest.fixture(scope="session")
def _redis_server(_test_servers: Servers) -> Iterator[tuple[str, Any]]:
    from redis import Redis

    with _test_servers.redis() as url, Redis.from_url(url, socket_timeout=60) as client:
        yield url, client


@pytest.fixture
def redis_url(_redis_server: tuple[str, Any]) -> str:
    url, client = _redis_server
    client.flushall()
    return url


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand on which servers were used, where this is one of several processes (pytest-xdist)."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["servers"] = session.config.stash.get(_servers, None)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a process hands on."""
    if used := getattr(node, "workeroutput", {}).get("servers"):
        node.config.stash[_servers] = used


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    line = f"servers: {config.stash.get(_servers, None) or 'none, no test asked for one'}"
    terminalreporter.write_line(line)
    if report := os.environ.get("TASKFLOW_TEST_REPORT"):
        outcomes = ("passed", "failed", "error", "skipped", "xfailed")
        counts = {name: len(terminalreporter.getreports(name)) for name in outcomes}
        told = ", ".join(f"{n} {name}" for name, n in counts.items() if n or name in {"passed", "failed"})
        Path(report).write_text(f"{told}; {line}", encoding="utf-8")
