"""Mail servers as they are set: what is understood, what is refused, what is shown."""

import pytest

from taskflow_notify import Security, SmtpServer, check_sender


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail", ("mail", 587, Security.STARTTLS, None, None, None)),
        ("smtp://mail/", ("mail", 587, Security.STARTTLS, None, None, None)),
        ("smtps://mail", ("mail", 465, Security.TLS, None, None, None)),
        ("smtp://mail?tls=none", ("mail", 25, Security.NONE, None, None, None)),
        ("smtp://mail:2525?tls=starttls", ("mail", 2525, Security.STARTTLS, None, None, None)),
        ("smtp://[::1]:25", ("::1", 25, Security.STARTTLS, None, None, None)),
        ("smtps://me:x@mail?ca=/a%20b.pem", ("mail", 465, Security.TLS, "me", "x", "/a b.pem")),
        ("smtp://me%40a:p%3A%2F%C3%A9%25@mail", ("mail", 587, Security.STARTTLS, "me@a", "p:/é%", None)),
    ],
)
def test_a_url_is_understood(url: str, expected: tuple[object, ...]) -> None:
    server = SmtpServer.parse(url)
    given = (server.host, server.port, server.security, server.username, server.password, server.ca)
    assert given == expected


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "http://me:hunter2@mail",
        "smtp://",
        "smtp://:25",
        "smtp://me:hunter2@",
        "smtp://me:hunter2@mail:0",
        "smtp://me:hunter2@mail:99999",
        "smtp://me:hunter2@mail:port",
        "smtp://me:hunter2@mail/path",
        "smtp://me:hunter2@mail#fragment",
        "smtp://me:hunter2@ma\nil",
        "smtp://me:hunter2@mail ",
        "smtp://me@mail",
        "smtp://:hunter2@mail",
        "smtp://me:hunter2%0d%0a@mail",
        "smtp://me%00:hunter2@mail",
        "smtp://me:hunter2%ff@mail",
        "smtp://me:hunter2@mail?tls=off",
        "smtp://me:hunter2@mail?tls=",
        "smtp://me:hunter2@mail?tls=tls",
        "smtp://me:hunter2@mail?tls=none&tls=none",
        "smtp://me:hunter2@mail?tls=none&ca=/ca.pem",
        "smtps://me:hunter2@mail?tls=none",
        "smtp://me:hunter2@mail?timeout=3",
        "smtp://[me:hunter2",
    ],
)
def test_what_is_wrong_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="must ") as caught:
        SmtpServer.parse(url)
    assert "hunter" not in str(caught.value)


def test_nothing_shows_a_password_or_a_user() -> None:
    server = SmtpServer.parse("smtp://admin:hunter2@mail")
    assert "hunter" not in f"{server} {server!r}"
    assert "admin" not in f"{server} {server!r}"


@pytest.mark.parametrize("text", ["taskflow@example.com", "a.b+c@localhost", "O'Neil@Example.COM"])
def test_a_sender_is_an_address(text: str) -> None:
    assert check_sender(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "taskflow",
        "@example.com",
        "a@",
        "a@b@c",
        "TaskFlow <a@example.com>",
        "a..b@example.com",
        "a@example..com",
        "jürgen@example.com",
        "a@münchen.example",
        "a@example.com\n",
        "a b@example.com",
        f"{'a' * 250}@example.com",
    ],
)
def test_what_is_no_sender_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be an address"):
        check_sender(text)
