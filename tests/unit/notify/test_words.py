"""What mails say, in text and in HTML."""

import re
from html import unescape
from pathlib import Path

import pytest
from jinja2 import UndefinedError

import taskflow_notify
from support.notices import USER_ID, event_notice, notice
from taskflow_core.notices import NoticeKind
from taskflow_core.security_events import EventType
from taskflow_notify.words import Worded, Words

WORDS = Words()
BY_HERSELF, BY_ANOTHER = str(USER_ID), "01a1f7c6-1111-7012-88e3-5ea76f837e79"


def worded(kind: NoticeKind = NoticeKind.TASK_OVERDUE, *, name: str = "Ada", **facts: str) -> Worded:
    return WORDS.of(notice(kind, name=name, facts=facts))


def event(type_: str, **facts: str) -> Worded:
    return WORDS.of(event_notice(type_, **facts))


def flat(text: str) -> str:
    return " ".join(text.replace("\u2060", "").split())


def shown(html: str) -> str:
    """What a browser shows of it."""
    return flat(unescape(re.sub(r"<[^>]+>", "", html.partition("<body")[2].partition(">")[2])))


def test_an_overdue_task_is_named_with_its_due_date() -> None:
    words = worded()
    assert words.subject == "Overdue: Pay the rent"
    for told in (flat(words.text), shown(words.html)):
        assert told.startswith(
            "Hello Ada, The task “Pay the rent” was due on 20 November 2026, 09:30 UTC and"
        )
        assert "turn notices about tasks off" in told


@pytest.mark.parametrize(
    ("due_date", "sentence"),
    [
        ("2026-12-01T00:00:00.5+02:00", "It is due on 30 November 2026, 22:00 UTC."),
        ("", "It has no due date."),
    ],
)
def test_an_assigned_task_is_named_with_its_due_date_if_it_has_one(due_date: str, sentence: str) -> None:
    words = worded(NoticeKind.TASK_ASSIGNED, due_date=due_date)
    assert words.subject == "Assigned to you: Pay the rent"
    for told in (flat(words.text), shown(words.html)):
        assert "“Pay the rent” is yours now, since 20 November 2026, 09:30 UTC." in told
        assert sentence in told


def test_a_task_that_was_moved_away_is_named_to_the_previous_owner() -> None:
    words = worded(NoticeKind.TASK_REASSIGNED)
    assert words.subject == "No longer yours: Pay the rent"
    for told in (flat(words.text), shown(words.html)):
        assert "“Pay the rent” was given to somebody else on 20 November 2026, 09:30 UTC." in told
        assert "because the task was yours" in told


EVENTS = [
    (
        EventType.NEW_DEVICE,
        {"userAgent": "Firefox"},
        "New sign-in",
        ["a device or browser that had not been", "“Firefox”", "change your password"],
    ),
    (EventType.NEW_DEVICE, {"userAgent": ""}, "New sign-in", ["seen there before. If this was you"]),
    (
        EventType.LOGIN_FAILURES,
        {"failures": "20"},
        "Failed attempts",
        ["20 times in a row", "wrong password"],
    ),
    (
        EventType.REFRESH_REUSED,
        {"sessionId": "1"},
        "session of your account was ended",
        ["when somebody copied it", "that session was ended", "Sign in again"],
    ),
    (
        EventType.PASSWORD_CHANGED,
        {"by": BY_HERSELF},
        "Your password was changed",
        ["from within the account", "Other sessions were ended"],
    ),
    (
        EventType.PASSWORD_CHANGED,
        {"by": "operator"},
        "Your password was changed",
        ["by whoever runs this TaskFlow"],
    ),
    (
        EventType.PASSWORD_CHANGED,
        {"by": BY_ANOTHER},
        "Your password was changed",
        ["by whoever runs this TaskFlow"],
    ),
    (
        EventType.ROLE_CHANGED,
        {"from": "user", "to": "admin", "by": BY_ANOTHER},
        "Your role was changed",
        ["from user to admin"],
    ),
    (
        EventType.ACTIVITY_CHANGED,
        {"active": "false", "by": BY_ANOTHER},
        "Your account was deactivated",
        ["deactivated: you cannot sign in"],
    ),
    (
        EventType.ACTIVITY_CHANGED,
        {"active": "true", "by": BY_ANOTHER},
        "Your account was reactivated",
        ["reactivated: you can sign in"],
    ),
    (
        EventType.EMAIL_CHANGED,
        {"by": BY_ANOTHER},
        "The email of your account was changed",
        ["by whoever runs this TaskFlow", "It was this address", "somebody else may have your account"],
    ),
    (
        EventType.EMAIL_CHANGED,
        {"by": BY_HERSELF},
        "The email of your account was changed",
        ["from within the account"],
    ),
]


@pytest.mark.parametrize(("type_", "facts", "subject", "parts"), EVENTS)
def test_each_event_is_told_so_that_one_knows_what_to_do(
    type_: EventType, facts: dict[str, str], subject: str, parts: list[str]
) -> None:
    words = event(type_, **facts)
    assert subject in words.subject
    for told in (flat(words.text), shown(words.html)):
        assert "20 November 2026, 09:30 UTC" in told
        assert "whether notices are turned on or off" in told
        for part in parts:
            assert part in told


def test_every_event_has_words_of_its_own() -> None:
    assert {type_ for type_, *_ in EVENTS} == set(EventType)
    folder = Path(taskflow_notify.__file__).parent / "templates" / NoticeKind.SECURITY_EVENT
    assert {path.name.removesuffix(".jinja") for path in folder.iterdir()} == {*EventType, "other"}


@pytest.mark.parametrize("type_", ["mfa.disabled", "other", "../task.overdue", ""])
def test_an_event_of_a_newer_version_is_told_too(type_: str) -> None:
    words = event(type_)
    assert words.subject == "A change to your account"
    assert f"you should know of: “{type_}”." in flat(words.text)


def test_a_fact_that_is_missing_is_an_error_and_no_gap() -> None:
    with pytest.raises(UndefinedError):
        event(EventType.ROLE_CHANGED, by="operator")


def test_what_others_wrote_is_no_html() -> None:
    title = """<script>alert("1")</script> & 'x' {{ 7 * 7 }}"""
    words = worded(title=title, name="<b>Ada</b>")
    assert "<script>" not in words.html
    assert "<b>" not in words.html
    assert f"“{title}”" in shown(words.html)
    assert f"“{title}”" in flat(words.text)


def test_the_direction_of_writing_stays_in_what_turns_it() -> None:
    words = worded(title="שכר דירה \u202egnp.exe")
    assert "“<bdi>שכר דירה gnp." in words.html
    assert "\u202e" not in words.text + words.html + words.subject


def test_a_title_that_invites_elsewhere_becomes_no_link() -> None:
    words = worded(title="Verify at https://evil.example/x or mail me@evil.example")
    for told in (words.text, words.html):
        assert not re.search(r"https?:/|evil\.example|me@evil", told)


@pytest.mark.parametrize("name", ["see evil.example", "http://evil.example", "\u202e\r\n"])
def test_a_name_that_is_none_greets_nobody(name: str) -> None:
    assert worded(name=name).text.startswith("Hello,\n")
    assert "<p>Hello,</p>" in worded(name=name).html


def test_lines_of_text_are_of_a_fair_length() -> None:
    assert max(map(len, worded(title="word " * 50).text.splitlines())) <= 76
