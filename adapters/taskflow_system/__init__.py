"""The machine's clock, identifiers made of it, and chance."""

from taskflow_system.chance import SystemChance
from taskflow_system.clock import SystemClock
from taskflow_system.ids import Uuid7

__all__ = ["SystemChance", "SystemClock", "Uuid7"]
