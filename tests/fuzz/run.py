"""Schemathesis, all checks, against `taskflow serve` on throwaway servers: once as a user, once as an admin.

Run by `nox -s fuzz`; what follows it (`-- --max-examples 200`) goes to schemathesis.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from support.servers import choose

CONFIG = Path(__file__).with_name("schemathesis.toml")
PASSWORD = "a password that is used for fuzzing"
ENDING = ("logOut", "endSession", "endSessions")
BIN = Path(sys.executable).parent


def main(arguments: list[str]) -> int:
    """Return schemathesis's worst exit code."""
    servers = choose()
    with servers.postgres() as database, servers.redis() as redis:
        environment = os.environ | {
            "TASKFLOW_DATABASE_URL": database,
            "TASKFLOW_REDIS_URL": redis,
            "TASKFLOW_JWT_SECRET": "a secret that is used for fuzzing only",
            "TASKFLOW_PASSWORD_COST": "10",
            # A run takes longer than a token is good for.
            "TASKFLOW_ACCESS_TOKEN_LIFETIME": "86400",
            "TASKFLOW_LOG_LEVEL": "error",
            # What is looked for is behind them.
            **{f"TASKFLOW_RATE_LIMIT_{name}": "off" for name in ("LOGIN", "REFRESH", "REGISTER", "API")},
        }
        taskflow(environment, "migrate")
        with serving(environment) as url:
            # The user first: the admin's run deletes accounts.
            runs = [(role, which) for role in ("user", "admin") for which in ("exclude", "include")]
            worst = max(fuzz(environment, url, role, which, arguments) for role, which in runs)
    sys.stdout.write(f"servers: {servers.describe()}\n")
    return worst


def taskflow(environment: dict[str, str], *arguments: str, given: str | None = None) -> None:
    subprocess.run([BIN / "taskflow", *arguments], env=environment, input=given, text=True, check=True)


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[str]:
    """Run the API on a free port, and fail if it does not end well."""
    command = [str(BIN / "taskflow"), "serve", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = re.search(r"http://\S+", process.stdout.readline())
            assert address is not None, "taskflow serve did not start"
            yield address.group()
        finally:
            process.terminate()
    assert process.returncode == 0, process.returncode


def fuzz(environment: dict[str, str], url: str, role: str, which: str, arguments: list[str]) -> int:
    """Run schemathesis as a new account with this role, without what ends its session or with that alone."""
    email = f"{which}-{role}@fuzz.example"
    create = ("users", "create", email, "--role", role, "--password-stdin")
    taskflow(environment, *create, given=PASSWORD)
    answer = httpx.post(f"{url}/auth/login", json={"email": email, "password": PASSWORD}, timeout=30)
    token = answer.raise_for_status().json()["access_token"]
    command = [
        str(BIN / "schemathesis"), "--config-file", str(CONFIG), "run", f"{url}/openapi.json",
        "--checks", "all", "--header", f"Authorization: Bearer {token}", *arguments,
    ]  # fmt: skip
    sys.stdout.write(f"--- schemathesis as {role}, {which} what ends sessions\n")
    sys.stdout.flush()
    chosen = [word for name in ENDING for word in (f"--{which}-operation-id", name)]
    return subprocess.run([*command, *chosen], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
