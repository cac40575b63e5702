"""The machine's clock, and identifiers made of it."""

from taskflow_system.clock import SystemClock
from taskflow_system.ids import Uuid7

__all__ = ["SystemClock", "Uuid7"]
