"""Generate clients from the OpenAPI document of a running server, compile them strictly, and use them.

Run by `nox -s clients`. Needs Node 20.19 or later with npm, which installs what package.json pins.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

SOURCES = Path(__file__).parent
BIN = Path(sys.executable).parent
START_SECONDS = 120


def main() -> None:
    """Raise CalledProcessError where a linter, a compiler or a client finds a fault."""
    with tempfile.TemporaryDirectory(prefix="taskflow-clients-") as name:
        folder = Path(name) / "clients"
        shutil.copytree(SOURCES, folder)
        run(folder, "npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
        with serving(Path(name)) as url:
            document = httpx.get(f"{url}/openapi.json", timeout=30).raise_for_status().content
            (folder / "openapi.json").write_bytes(document)
            lint(folder)
            use_openapi_typescript(folder, url)
            use_hey_api(folder, url)
            use_openapi_python_client(folder, url)
    sys.stdout.write("The document has no warnings, and three generated clients work.\n")


def lint(folder: Path) -> None:
    run(folder, "npx", "spectral", "lint", "openapi.json", "--fail-severity", "hint")
    run(folder, "npx", "redocly", "lint", "openapi.json", "--config", "redocly.yaml")


def use_openapi_typescript(folder: Path, url: str) -> None:
    run(folder, "npx", "openapi-typescript", "openapi.json", "-o", "schema.d.ts")
    run(folder, "npx", "tsc")
    run(folder, "node", "build/openapi_fetch.js", url)


def use_hey_api(folder: Path, url: str) -> None:
    run(folder, "npx", "openapi-ts", "--no-log-file")
    run(folder, "npx", "tsc", "--project", "tsconfig.hey.json")
    run(folder, "node", "build/hey_api.js", url)


def use_openapi_python_client(folder: Path, url: str) -> None:
    generate = ("generate", "--path", "openapi.json", "--meta", "none", "--fail-on-warning")
    run(folder, "openapi-python-client", *generate, "--output-path", "task_flow_client")
    run(folder, "mypy", "python_client.py", "task_flow_client")
    run(folder, "python", "python_client.py", url)


def run(folder: Path, *command: str) -> None:
    """Run a command in the folder, those of this environment first."""
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    subprocess.run(command, cwd=folder, env=os.environ | {"PATH": path}, check=True)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run `taskflow dev` with a data directory of its own on a free port."""
    log = folder / "dev.log"
    command: list[str | Path] = [BIN / "taskflow", "dev", "--port", "0", "--data-dir", folder / "data"]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as server:
        try:
            yield address(log, server)
        finally:
            server.terminate()


def address(log: Path, server: subprocess.Popen[bytes]) -> str:
    """Return the URL once the server has written it."""
    until = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < until:
        if found := re.search(r"http://[\d.:]+", log.read_text(encoding="utf-8")):
            return found[0]
        time.sleep(0.1)
    raise RuntimeError(log.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
