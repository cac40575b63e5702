"""What use cases do alike when something happened to an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskflow_core.ledger import JobKind, LedgerEntry
from taskflow_core.security_events import FORMER_EMAIL
from taskflow_core.tasks import as_text

if TYPE_CHECKING:
    from taskflow_core.ports.persistence import Transaction
    from taskflow_core.ports.time import Ids
    from taskflow_core.security_events import SecurityEvent


def keep_event(
    transaction: Transaction,
    event: SecurityEvent,
    ids: Ids,
    request_id: str | None,
    *,
    former_email: str | None = None,
) -> None:
    """Write a security event, and have its account told of it: at its former address, where that is given."""
    transaction.events.add(event)
    facts = {**event.detail, "type": str(event.type), "at": as_text(event.at) or ""}
    if former_email is not None:
        facts[FORMER_EMAIL] = former_email
    job = LedgerEntry.create(
        id=ids(event.at), kind=JobKind.SECURITY_EVENT, now=event.at, subject=event.user_id,
        payload=facts, request_id=request_id,
    )  # fmt: skip
    transaction.ledger.add(job)
