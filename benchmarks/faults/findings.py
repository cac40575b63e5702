"""What an accounting finds wrong."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Fault(StrEnum):
    """What kind of wrong."""

    LOST = "lost"
    DOUBLED = "doubled"
    BROKEN = "broken"
    LATE = "late"


class Finding(NamedTuple):
    """One thing that should not be."""

    fault: Fault
    what: str

    def __str__(self) -> str:
        return f"{self.fault}: {self.what}"


def lost(what: str) -> Finding:
    """Something acknowledged that is not there."""
    return Finding(Fault.LOST, what)


def doubled(what: str) -> Finding:
    """Something that happened once too often."""
    return Finding(Fault.DOUBLED, what)


def broken(what: str) -> Finding:
    """Something half done, or that should never have happened."""
    return Finding(Fault.BROKEN, what)


def late(what: str) -> Finding:
    """Something that took longer than promised."""
    return Finding(Fault.LATE, what)
