"""The password of a server's TCP port, made once and kept in the data directory."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from taskflow_embedded.directory import open_private

FILE = "password"


def password(home: Path) -> str:
    """The password for the servers of `home`, safe to stand in an address as it is."""
    path = home / FILE
    if not path.exists():
        new = home / f"{FILE}.new"
        with os.fdopen(
            open_private(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w", encoding="ascii"
        ) as file:
            file.write(secrets.token_urlsafe(24))
        new.replace(path)
    return path.read_text(encoding="ascii").strip()
