"""Notices in the log."""

import pytest
from structlog.testing import capture_logs

from support.notices import ID, USER_ID, event_notice, notice
from taskflow_core.notices import NoticeKind
from taskflow_notify import LogNotifier
from taskflow_notify.lines import masked


async def test_a_notice_is_one_line_that_tells_what_it_is_about() -> None:
    with capture_logs() as lines:
        await LogNotifier().send(notice())
    assert lines == [
        {
            "event": "notice",
            "log_level": "info",
            "kind": "task.overdue",
            "title": "Pay the rent",
            "due": "2026-11-20T09:30:00Z",
            "email": "a***@example.com",
            "user": str(USER_ID),
            "notice_id": str(ID),
        }
    ]


async def test_an_event_of_an_account_is_told_with_what_is_known_to_be_harmless() -> None:
    facts = {"from": "user", "to": "admin", "by": "operator", "token": "hunter2"}
    with capture_logs() as lines:
        await LogNotifier().send(event_notice("role.changed", **facts))
    (line,) = lines
    assert (line["type"], line["role_before"], line["role"]) == ("role.changed", "user", "admin")
    assert "hunter2" not in str(line)


async def test_a_task_without_a_due_date_is_told_without() -> None:
    with capture_logs() as lines:
        await LogNotifier().send(notice(NoticeKind.TASK_ASSIGNED, facts={"due_date": ""}))
    assert "due" not in lines[0]


async def test_no_title_writes_a_line_of_its_own_or_steers_a_terminal() -> None:
    title = "x\r\n2026-11-20 [info] forged \x1b[31m\x9b\u2028" + "y" * 200
    with capture_logs() as lines:
        await LogNotifier().send(notice(facts={"title": title}, email="a\n@example.com"))
    assert lines[0]["title"].isprintable()
    assert len(lines[0]["title"]) <= 120
    assert lines[0]["email"].isprintable()


@pytest.mark.parametrize(
    ("email", "shown"),
    [
        ("ada@example.com", "a***@example.com"),
        ("a@example.com", "a***@example.com"),
        ("ü@münchen.example", "ü***@münchen.example"),
        ("nothing", "***"),
        ("", "***"),
    ],
)
def test_an_address_is_masked(email: str, shown: str) -> None:
    assert masked(email) == shown
