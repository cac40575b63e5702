"""The ports over dictionaries that store copies: for tests, and for embedders who need nothing that lasts."""

from taskflow_memory.reads import MemoryReads
from taskflow_memory.security import MemoryPasswords, MemoryTokens
from taskflow_memory.store import MemoryStore
from taskflow_memory.transactions import MemoryTransactions

__all__ = ["MemoryPasswords", "MemoryReads", "MemoryStore", "MemoryTokens", "MemoryTransactions"]
