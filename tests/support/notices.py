"""Notices to send."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from taskflow_core.notices import Notice, NoticeKind

ID = UUID("01a1f7c6-5f2c-7012-88e3-5ea76f837e79")
USER_ID = UUID("01a1f7c6-0000-7012-88e3-5ea76f837e79")
AT = datetime(2026, 11, 20, 9, 30, 15, tzinfo=UTC)
OF_A_TASK = {"task_id": str(UUID(int=7)), "title": "Pay the rent", "due_date": "2026-11-20T09:30:00Z"}


def notice(
    kind: NoticeKind = NoticeKind.TASK_OVERDUE,
    *,
    id: UUID = ID,
    email: str = "ada@example.com",
    name: str = "Ada Lovelace",
    facts: Mapping[str, str] | None = None,
) -> Notice:
    """A notice about a task; `facts` replace some of the task's."""
    told = {**OF_A_TASK, **(facts or {})}
    return Notice(id=id, kind=kind, user_id=USER_ID, email=email, name=name, at=AT, facts=told)


def event_notice(type_: str, **facts: str) -> Notice:
    """A notice about an event of an account."""
    return replace(notice(NoticeKind.SECURITY_EVENT), facts={"type": type_, **facts})
