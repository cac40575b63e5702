"""A primary and its standby from the wheel, and an address that moves between them."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from support.processes import free_port
from support.wires import listening
from taskflow_embedded._binaries import postgres_programs

NOBODY = 65534
_CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
wal_log_hints = on
wal_keep_size = 256MB
max_connections = 60
shared_buffers = 32MB
"""


@dataclass
class Node:
    """One server, reached by TCP as `postgres` without a password."""

    data: Path
    port: int = field(default_factory=free_port)

    def url(self, database: str = "taskflow") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement and return its rows, if any."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def set(self, name: str, value: str) -> None:
        """Change a setting while the server runs."""
        self.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self.execute("SELECT pg_reload_conf()")

    def start(self, follow: Node | None = None) -> None:
        """Start as a primary, or as the standby of `follow`."""
        options = f"-p {self.port}"
        if follow is not None:
            _run("touch", self.data / "standby.signal")
            options += f" -c primary_conninfo='host=127.0.0.1 port={follow.port} user=postgres'"
        log = self.data.with_suffix(".log")
        _run("pg_ctl", "-D", self.data, "-o", options, "-l", log, "-w", "start")

    def crash(self) -> None:
        """Stop without a checkpoint."""
        _run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def promote(self) -> None:
        _run("pg_ctl", "-D", self.data, "-w", "promote")

    def rewind(self, source: Node) -> None:
        """Make this stopped server a copy of `source`, which was promoted."""
        _run("pg_rewind", "-D", self.data, f"--source-server={source.url('postgres')}")


@contextmanager
def open_cluster() -> Iterator[tuple[Node, Node]]:
    """Start a primary and a synchronous standby."""
    root = Path(tempfile.mkdtemp(prefix="taskflow-cluster-"))
    if os.geteuid() == 0:
        os.chown(root, NOBODY, NOBODY)
    one, two = Node(root / "one"), Node(root / "two")
    try:
        _run("initdb", "-D", one.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale")
        with (one.data / "postgresql.conf").open("a") as file:
            file.write(_CONFIGURATION)
        one.start()
        _run("pg_basebackup", "-d", one.url("postgres"), "-D", two.data, "-X", "stream", "-c", "fast")
        two.start(follow=one)
        one.set("synchronous_standby_names", "*")
        yield one, two
    finally:
        for node in (one, two):
            if (node.data / "postmaster.pid").exists():
                node.crash()
        shutil.rmtree(root)


def _run(program: str, *words: object) -> None:
    # PostgreSQL refuses to run as root.
    other: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    path = postgres_programs() / program
    # Not a pipe: the server that `pg_ctl` starts would keep it open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [str(path) if path.exists() else program, *map(str, words)],
            stdout=output,
            stderr=output,
            cwd="/",
            check=False,
            timeout=120,
            **other,
        )
        output.seek(0)
        assert done.returncode == 0, (program, words, output.read()[-500:])


@dataclass
class Address:
    """Where clients find the primary: what is open stays where it leads, what is new goes to `port`."""

    port: int
    own: int = 0

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.own}/taskflow"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer), return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def open_address(node: Node) -> AsyncIterator[Address]:
    """Open an address that leads to `node`."""
    address = Address(node.port)
    async with listening(address._connected) as port:
        address.own = port
        yield address
