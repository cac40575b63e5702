"""The accounts of `taskflow dev`. Everybody knows their passwords: nowhere may anybody choose one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from taskflow_core import Role


@dataclass(frozen=True, slots=True)
class DemoUser:
    """An account that everybody knows."""

    email: str
    name: str
    role: Role
    password: str


DEMO_USERS: Final = (
    DemoUser("admin@example.com", "Ada Admin", Role.ADMIN, "admin123"),
    DemoUser("user@example.com", "Uma User", Role.USER, "user123"),
)
