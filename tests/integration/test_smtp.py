"""Mails handed to a real mail server: signed in, encrypted, refused, late, gone and back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest

from support.loop_clock import LoopClock
from support.mail_server import CERTIFICATE, IN_URL, PASSWORD, MailServer
from support.notices import ID, notice
from support.wires import listening
from support.work import until
from taskflow_core import Unavailable, Undeliverable
from taskflow_core.errors import TaskFlowError
from taskflow_core.ledger import NOTICE_TIME_LIMIT
from taskflow_notify import SmtpServer
from taskflow_notify.connections import IDLE_MOST, SmtpConnections
from taskflow_notify.mails import Mail
from taskflow_notify.smtp import CONTENT_SECONDS, OPENING_SECONDS, SmtpNotifier

SENDER = "taskflow@tasks.example.com"
RECIPIENT = "ada@example.com"
PATIENCE = 60.0
"""Seconds: longer than anything takes on a busy machine."""


@pytest.fixture(autouse=True)
def connections_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskflow_notify.connections.IDLE_SECONDS", 10 * PATIENCE)
    monkeypatch.setattr("taskflow_notify.connections.GOODBYE_SECONDS", PATIENCE)


@asynccontextmanager
async def serving(server: MailServer) -> AsyncIterator[MailServer]:
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def notifier(
    url: str, *, opening: float = PATIENCE, content: float = PATIENCE
) -> AsyncIterator[SmtpNotifier]:
    smtp = SmtpNotifier(SmtpServer.parse(url), SENDER, opening=opening, content=content)
    try:
        yield smtp
    finally:
        await smtp.aclose()


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with serving(MailServer()) as plain:
        yield plain


@pytest.fixture
async def smtp(server: MailServer) -> AsyncIterator[SmtpNotifier]:
    async with notifier(f"smtp://127.0.0.1:{server.port}?tls=none") as plain:
        yield plain


async def refusal(smtp: SmtpNotifier, email: str = RECIPIENT) -> TaskFlowError:
    """How a mail fails; nothing about it tells who, where or by which password."""
    with pytest.raises(TaskFlowError) as caught:
        await smtp.send(notice(email=email))
    error: BaseException | None = caught.value
    while error is not None:
        for secret in (email, "127.0.0.1", "localhost", PASSWORD, "me@example.com", "secret-of-the-server"):
            assert secret not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__
    return caught.value


async def test_a_mail_arrives_whole(server: MailServer, smtp: SmtpNotifier) -> None:
    await smtp.send(notice())
    (envelope,), (mail,) = server.envelopes, server.mails()
    assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, [RECIPIENT])
    assert mail["From"] == f"TaskFlow <{SENDER}>"
    assert mail["To"] == f"Ada Lovelace <{RECIPIENT}>"
    assert mail["Subject"] == "Overdue: Pay the rent"
    assert mail["Message-ID"] == f"<{ID}@tasks.example.com>"
    assert mail["X-TaskFlow-Notice"] == str(ID)
    assert mail["Date"] == "Fri, 20 Nov 2026 09:30:15 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert not any(part.defects for part in mail.walk())


@pytest.mark.parametrize("code", [500, 502])
async def test_a_server_that_does_not_know_ehlo_gets_helo(
    server: MailServer, smtp: SmtpNotifier, code: int
) -> None:
    server.replies["EHLO"] = [f"{code} Command not recognized"]
    await smtp.send(notice(email=RECIPIENT))
    assert len(server.mails()) == 1
    assert server.envelopes[0].mail_options == []


@pytest.mark.parametrize("code", [421, 450, 501, 504, 550])
async def test_another_refusal_of_ehlo_is_no_reason_for_helo(
    server: MailServer, smtp: SmtpNotifier, code: int
) -> None:
    server.replies["EHLO"] = [f"{code} No"]
    assert isinstance(await refusal(smtp), Unavailable)
    assert server.mails() == []


async def test_helo_neither_gives_up_encryption_nor_sends_a_password(server: MailServer) -> None:
    for url, missing in (
        (f"smtp://127.0.0.1:{server.port}", "encryption"),
        (f"smtp://{IN_URL}@127.0.0.1:{server.port}?tls=none", "sign in"),
    ):
        server.replies["EHLO"] = ["502 Command not implemented"]
        async with notifier(url) as strict:
            assert missing in str(await refusal(strict))
    assert server.mails() == []


async def test_the_same_notice_twice_has_the_same_id(server: MailServer, smtp: SmtpNotifier) -> None:
    await smtp.send(notice())
    await smtp.send(notice())
    assert {(mail["Message-ID"], mail["Date"]) for mail in server.mails()} == {
        (f"<{ID}@tasks.example.com>", "Fri, 20 Nov 2026 09:30:15 +0000")
    }
    assert len(server.mails()) == 2


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_it_signs_in_over_an_encrypted_connection(tls: str) -> None:
    async with serving(MailServer(tls="starttls" if tls == "starttls" else "tls", auth=True)) as server:
        scheme = {"starttls": "smtp", "tls": "smtps"}[tls]
        url = f"{scheme}://{IN_URL}@127.0.0.1:{server.port}?ca={CERTIFICATE}"
        async with notifier(url) as smtp:
            await smtp.send(notice())
            await smtp.send(notice())
        assert (len(server.mails()), server.connections) == (2, 1)


async def test_certificates_are_believed_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    async with serving(MailServer(tls="starttls")) as server:
        async with notifier(f"smtp://127.0.0.1:{server.port}") as smtp:
            await smtp.send(notice())
        assert len(server.mails()) == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_an_unknown_certificate_is_not_believed(tls: str) -> None:
    async with serving(MailServer(tls="starttls" if tls == "starttls" else "tls")) as server:
        scheme = {"starttls": "smtp", "tls": "smtps"}[tls]
        async with notifier(f"{scheme}://127.0.0.1:{server.port}") as smtp:
            error = await refusal(smtp)
        assert isinstance(error, Unavailable)
        assert "certificate" in error.detail
        assert server.mails() == []


async def test_a_certificate_for_another_name_is_not_believed() -> None:
    async with serving(MailServer(tls="starttls")) as server:
        async with notifier(f"smtp://localhost:{server.port}?ca={CERTIFICATE}") as smtp:
            error = await refusal(smtp)
        assert isinstance(error, Unavailable)
        assert "certificate" in error.detail


async def test_without_encryption_nothing_is_sent_unless_asked_for(server: MailServer) -> None:
    async with notifier(f"smtp://{IN_URL}@127.0.0.1:{server.port}") as smtp:
        error = await refusal(smtp)
    assert isinstance(error, Unavailable)
    assert "STARTTLS" in error.detail
    assert server.mails() == []


async def test_a_server_that_wants_tls_from_the_first_byte_on_is_not_there_for_starttls() -> None:
    async with (
        serving(MailServer(tls="tls")) as server,
        notifier(f"smtp://127.0.0.1:{server.port}", opening=0.5) as smtp,
    ):
        assert isinstance(await refusal(smtp), Unavailable)


async def test_a_plain_server_is_not_there_for_tls(server: MailServer) -> None:
    async with notifier(f"smtps://127.0.0.1:{server.port}") as smtp:
        error = await refusal(smtp)
    assert isinstance(error, Unavailable)
    assert "secure connection" in error.detail


async def test_a_wrong_password_may_be_mended() -> None:
    async with serving(MailServer(tls="starttls", auth=True)) as server:
        url = f"smtp://me%40example.com:secret-of-the-server@127.0.0.1:{server.port}?ca={CERTIFICATE}"
        async with notifier(url) as smtp:
            error = await refusal(smtp)
    assert isinstance(error, Unavailable)
    assert error.detail == "The mail server refused the user or the password (535)."


async def test_a_server_that_wants_no_password_says_so(server: MailServer) -> None:
    async with notifier(f"smtp://{IN_URL}@127.0.0.1:{server.port}?tls=none") as smtp:
        error = await refusal(smtp)
    assert isinstance(error, Unavailable)
    assert "no way to sign in" in error.detail


@pytest.mark.parametrize(
    ("reply", "kind", "detail"),
    [
        ("RCPT 550 5.1.1 No such user", Undeliverable, "refused the recipient (550)"),
        ("RCPT 553 5.1.3 Mailbox name not allowed", Undeliverable, "refused the recipient (553)"),
        ("RCPT 550 relay not permitted", Unavailable, "refused the recipient (550)"),
        ("RCPT 450 4.2.1 Try again", Unavailable, "refused the recipient (450)"),
        ("RCPT 452 4.5.3 Too many", Unavailable, "refused the recipient (452)"),
        ("RCPT 554 5.7.1 Relay access denied", Unavailable, "refused the recipient (554)"),
        ("RCPT 530 Authentication required", Unavailable, "refused the recipient (530)"),
        ("RCPT 552 5.2.2 Mailbox full", Unavailable, "refused the recipient (552)"),
        ("RCPT 550 5.2.2 Mailbox full", Unavailable, "refused the recipient (550)"),
        ("DATA 554 5.5.1 No valid recipients", Undeliverable, "refused the message (554)"),
        ("DATA 451 4.3.0 Later", Unavailable, "refused the message (451)"),
        ("CONTENT 554 5.6.0 Not like this", Undeliverable, "refused the message (554)"),
        ("CONTENT 451 4.3.0 Later", Unavailable, "refused the message (451)"),
        ("CONTENT 421 4.3.0 Closing", Unavailable, "refused the message (421)"),
        ("MAIL 550 5.1.8 Sender unknown", Unavailable, "refused the sender (550)"),
        ("MAIL 451 4.3.0 Later", Unavailable, "refused the sender (451)"),
    ],
)
async def test_a_refusal_is_for_good_or_not(
    server: MailServer, smtp: SmtpNotifier, reply: str, kind: type[TaskFlowError], detail: str
) -> None:
    command, _, text = reply.partition(" ")
    server.replies[command] = [f"{text} secret-of-the-server {RECIPIENT}"]
    error = await refusal(smtp)
    assert type(error) is kind
    assert detail in error.detail
    await smtp.send(notice())
    assert len(server.mails()) == 1


async def test_a_server_that_is_not_there(server: MailServer, smtp: SmtpNotifier) -> None:
    await server.stop()
    error = await refusal(smtp)
    assert isinstance(error, Unavailable)
    assert error.detail == "The mail server cannot be reached, or went away."
    await server.start()
    await smtp.send(notice())


async def test_a_host_that_does_not_exist() -> None:
    async with notifier("smtp://mail.invalid", opening=OPENING_SECONDS) as smtp:
        assert isinstance(await refusal(smtp), Unavailable)


async def test_a_server_that_is_slow_to_open_costs_the_deadline_and_no_more(server: MailServer) -> None:
    server.opening.clear()
    async with notifier(f"smtp://127.0.0.1:{server.port}?tls=none", opening=0.5) as smtp:
        error = await refusal(smtp)
        assert isinstance(error, Unavailable)
        assert error.detail == "The mail server did not answer in time."
        server.opening.set()
        smtp._connections._opening_seconds = PATIENCE
        await smtp.send(notice())
        assert len(server.mails()) == 1


async def test_a_server_that_says_nothing_costs_the_deadline_and_no_more() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()

    async with listening(say_nothing) as port:
        for scheme in ("smtp", "smtps"):
            async with notifier(f"{scheme}://127.0.0.1:{port}", opening=0.2) as smtp:
                assert isinstance(await refusal(smtp), Unavailable)


async def test_what_is_cancelled_leaves_nothing_behind(server: MailServer, smtp: SmtpNotifier) -> None:
    server.opening.clear()
    sending = asyncio.create_task(smtp.send(notice()))
    await until(lambda: server.held_up == 1)
    assert server.open == 1
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await until(lambda: server.open == 0)
    server.opening.set()
    await smtp.send(notice())
    assert len(server.mails()) == 1


@pytest.mark.parametrize("tls", ["starttls", "none"])
async def test_it_connects_anew_after_the_server_restarted(tls: str) -> None:
    async with serving(MailServer(tls="starttls" if tls == "starttls" else "none")) as server:
        options = "tls=none" if tls == "none" else f"ca={CERTIFICATE}"
        async with notifier(f"smtp://127.0.0.1:{server.port}?{options}") as smtp:
            await smtp.send(notice())
            await server.stop()
            await server.start()
            await smtp.send(notice())
        assert (len(server.mails()), server.connections) == (2, 2)


@pytest.mark.parametrize("command", ["MAIL", "RCPT"])
async def test_a_connection_that_ends_as_it_is_used_is_replaced(
    server: MailServer, smtp: SmtpNotifier, command: str
) -> None:
    await smtp.send(notice())
    server.replies[command] = ["421 4.7.0 Enough mails on this connection"]
    await smtp.send(notice())
    assert (len(server.mails()), server.connections) == (2, 2)
    server.replies[command] = ["421 4.7.0 Enough", "421 4.7.0 Enough"]
    assert isinstance(await refusal(smtp), Unavailable)


async def test_connections_are_kept_for_the_next_mail(server: MailServer, smtp: SmtpNotifier) -> None:
    async def send(ids: list[UUID]) -> None:
        for id in ids:
            await smtp.send(notice(id=id))

    ids = [uuid4() for _ in range(40)]
    await asyncio.gather(*(send(ids[first::4]) for first in range(4)))
    assert {mail["X-TaskFlow-Notice"] for mail in server.mails()} == set(map(str, ids))
    assert server.connections == 4


async def test_no_mail_waits_for_another_and_few_connections_are_kept(
    server: MailServer, smtp: SmtpNotifier
) -> None:
    server.answering.clear()
    sending = asyncio.gather(*(smtp.send(notice()) for _ in range(64)))
    await until(lambda: len(server.envelopes) == 64)
    assert server.open == 64
    server.answering.set()
    await sending
    await until(lambda: server.open == IDLE_MOST)
    await asyncio.gather(*(smtp.send(notice()) for _ in range(IDLE_MOST)))
    assert (len(server.mails()), server.connections) == (64 + IDLE_MOST, 64)


async def test_connections_that_wait_too_long_are_closed(
    server: MailServer, smtp: SmtpNotifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskflow_notify.connections.IDLE_SECONDS", 0.05)
    await smtp.send(notice())
    assert server.open == 1
    await until(lambda: server.open == 0)
    await smtp.send(notice())
    assert server.connections == 2


async def test_closed_it_keeps_no_connection(server: MailServer, smtp: SmtpNotifier) -> None:
    server.opening.clear()
    sending = asyncio.create_task(smtp.send(notice()))
    await until(lambda: server.held_up == 1)
    await smtp.aclose()
    server.opening.set()
    await sending
    await until(lambda: server.open == 0)
    assert len(server.mails()) == 1


async def test_an_address_beyond_ascii_needs_a_server_that_knows_them(
    server: MailServer, smtp: SmtpNotifier
) -> None:
    await smtp.send(notice(email="jürgen@münchen.example"))
    (envelope,) = server.envelopes
    assert envelope.rcpt_tos == ["jürgen@xn--mnchen-3ya.example"]
    assert "SMTPUTF8" in envelope.mail_options
    server.utf8 = False
    await smtp.send(notice(email="jurgen@münchen.example"))
    assert server.envelopes[1].rcpt_tos == ["jurgen@xn--mnchen-3ya.example"]
    await server.disconnect()
    error = await refusal(smtp, "jürgen@münchen.example")
    assert isinstance(error, Undeliverable)


@pytest.mark.parametrize("email", ["a..b@example.com", ".a@example.com", "o'neil+tag/x=y@example.com"])
async def test_odd_addresses_arrive_where_they_are_meant_for(
    server: MailServer, smtp: SmtpNotifier, email: str
) -> None:
    await smtp.send(notice(email=email))
    (recipient,) = server.envelopes[0].rcpt_tos
    assert recipient.replace('"', "") == email


async def test_a_server_that_takes_its_time_with_the_content_gets_each_mail_once(server: MailServer) -> None:
    server.answering.clear()
    async with notifier(f"smtp://127.0.0.1:{server.port}?tls=none", content=10 * PATIENCE) as smtp:
        sending = asyncio.create_task(smtp.send(notice()))
        await until(lambda: len(server.envelopes) == 1)
        # Longer than it may take to open.
        with LoopClock() as clock:
            await clock.move(2 * PATIENCE)
        server.answering.set()
        await sending
    assert len(server.mails()) == 1


def test_a_try_outlasts_its_mail() -> None:
    # With time to read what it is about, to write the mail, and to end the job.
    assert NOTICE_TIME_LIMIT.total_seconds() >= OPENING_SECONDS + CONTENT_SECONDS + 5


async def test_a_mail_that_was_sent_and_not_answered_may_arrive_twice(server: MailServer) -> None:
    server.answering.clear()
    async with notifier(f"smtp://127.0.0.1:{server.port}?tls=none") as smtp:
        refused = asyncio.create_task(refusal(smtp))
        await until(lambda: len(server.envelopes) == 1)
        with LoopClock() as clock:
            await clock.move(2 * PATIENCE)
        error = await refused
        assert isinstance(error, Unavailable)
        assert (
            error.detail
            == "The mail server was sent the mail and did not answer in time; it may arrive twice."
        )
        # How that connection stands is not known.
        await until(lambda: server.open == 0)
    server.answering.set()
    assert len(server.mails()) == 1


@pytest.mark.parametrize("before", [0, 1])
async def test_content_is_not_sent_again_on_another_connection(
    server: MailServer, smtp: SmtpNotifier, before: int
) -> None:
    for _ in range(before):
        await smtp.send(notice())
    server.goodbye = True
    error = await refusal(smtp)
    assert isinstance(error, Unavailable)
    assert error.detail == "The mail server was sent the mail and gave no answer; it may arrive twice."
    assert (len(server.mails()), server.connections) == (before + 1, 1)


async def test_content_arrives_to_the_byte() -> None:
    content = b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\nb.\r\n\r\n."
    async with serving(MailServer()) as server:
        where = SmtpServer.parse(f"smtp://127.0.0.1:{server.port}?tls=none")
        connections = SmtpConnections(where, domain="tasks.example.com", opening=PATIENCE, content=PATIENCE)
        await connections.hand_over(Mail(SENDER, RECIPIENT, content + b"\r\n", utf8=False))
        await connections.aclose()
    (envelope,) = server.envelopes
    assert envelope.content == content + b"\r\n"
    assert envelope.mail_options == [f"SIZE={len(content) + 2}"]
