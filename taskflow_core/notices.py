"""What people are told, wherever they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID


class NoticeKind(StrEnum):
    """What a notice is about. Its facts, by name, are text.

    - TASK_OVERDUE: task_id, title, due_date
    - TASK_ASSIGNED: task_id, title, due_date ("" for none)
    - TASK_REASSIGNED, to the previous owner: task_id, title
    - SECURITY_EVENT: type (an `EventType`), at, and what that event's detail holds
    """

    TASK_OVERDUE = "task.overdue"
    TASK_ASSIGNED = "task.assigned"
    TASK_REASSIGNED = "task.reassigned"
    SECURITY_EVENT = "security.event"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to tell one person.

    Attributes:
        id: The same however often this is delivered, which may be more than once.
        at: When what it tells of happened.
        facts: See `NoticeKind`.
    """

    id: UUID
    kind: NoticeKind
    user_id: UUID
    email: str = field(repr=False)
    name: str = field(repr=False)
    at: datetime
    facts: Mapping[str, str] = field(repr=False)
