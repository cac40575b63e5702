"""The ports over dictionaries that store copies: for tests, and for embedders who need nothing that lasts."""

from taskflow_memory.hints import MemoryNotifier, MemoryQueue
from taskflow_memory.ledger import MemoryClaims, MemoryLedgerReads
from taskflow_memory.limits import MemoryLoginAttempts, MemoryRateLimits
from taskflow_memory.reads import MemoryReads
from taskflow_memory.security import (
    MemoryCommonPasswords,
    MemoryPasswords,
    MemoryRefreshTokens,
    MemoryTokens,
)
from taskflow_memory.sessions import MemoryIdentities, MemorySessionReads
from taskflow_memory.store import MemoryStore
from taskflow_memory.transactions import MemoryTransactions

__all__ = [
    "MemoryClaims",
    "MemoryCommonPasswords",
    "MemoryIdentities",
    "MemoryLedgerReads",
    "MemoryLoginAttempts",
    "MemoryNotifier",
    "MemoryPasswords",
    "MemoryQueue",
    "MemoryRateLimits",
    "MemoryReads",
    "MemoryRefreshTokens",
    "MemorySessionReads",
    "MemoryStore",
    "MemoryTokens",
    "MemoryTransactions",
]
