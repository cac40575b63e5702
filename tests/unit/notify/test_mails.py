"""Mails as they go over the wire: nothing that others wrote gets out of its place."""

import email
import email.policy
import re
from dataclasses import replace
from email.header import decode_header, make_header
from email.message import Message
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.notices import AT, ID, event_notice, notice
from taskflow_core import Unaddressable
from taskflow_core.notices import NoticeKind
from taskflow_core.users import check_email
from taskflow_notify.mails import NAME_MAX, SUBJECT_MAX, MailWriter

WRITE = MailWriter("taskflow@tasks.example.com")
FIELDS = ["From", "To", "Subject", "Date", "Message-ID", "X-TaskFlow-Notice", "Auto-Submitted"]
FIELDS_OF_A_BODY = ["MIME-Version", "Content-Type"]
HOSTILE = [
    "x\r\nBcc: evil@example.com",
    "x\nBcc: evil@example.com",
    "x\rBcc: evil@example.com",
    "x\r\n\r\n<h1>another body</h1>",
    "x\u2028Bcc: evil@example.com",
    "x\u0085Bcc: evil@example.com\u2029\v\f\x1c",
    "x\0Bcc: evil@example.com",
    "=?utf-8?q?x=0d=0aBcc=3A_evil=40example.com?=",
    "=?utf-8?b?eA0KQmNjOiBldmlsQGV4YW1wbGUuY29t?=",
    "Ada <evil@example.com>, x",
    'Ada" <evil@example.com>, "x',
    "Ada (comment) \\",
    "ünïcode <evil@example.com>, " + "ü" * 200,
    "\u202egnp.exe \u2066x\u2069\u200f",
    "\ud800 lone",
    "x" * 5000,
    "ß" * 5000,
    "👩‍👩‍👧‍👦" * 100,
    " ",
    "",
]


def head_of(content: bytes) -> Message:
    """The header, read by the lenient parser: what it takes for a field, others might."""
    return email.message_from_bytes(content, policy=email.policy.compat32)


def check_header(content: bytes, address: str) -> None:
    # No line ends but by CRLF: servers differ on what else ends one, and on which dot ends a mail.
    assert content.endswith(b"\r\n")
    assert not {*b"\r\n"} & {*content.replace(b"\r\n", b"")}
    head = content.partition(b"\r\n\r\n")[0]
    assert [line.partition(b":")[0].decode() for line in head.split(b"\r\n") if line[:1] != b" "] == [
        *FIELDS,
        *FIELDS_OF_A_BODY,
    ]
    assert all(len(line) <= 998 and not {*line} & {*range(32), 127} for line in head.split(b"\r\n"))
    assert head_of(content).keys() == [*FIELDS, *FIELDS_OF_A_BODY]
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert [found.addr_spec for found in mail["To"].addresses] == [address]
    assert [found.addr_spec for found in mail["From"].addresses] == ["taskflow@tasks.example.com"]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_titles_names_and_facts_add_nothing_to_the_header(text: str) -> None:
    for told in (
        notice(facts={"title": text}),
        notice(NoticeKind.TASK_ASSIGNED, facts={"title": text}, name=text),
        event_notice("login.new_device", userAgent=text),
        event_notice(text),
    ):
        check_header(WRITE(told).content, "ada@example.com")


@given(title=st.text(), name=st.text())
def test_no_title_or_name_adds_anything_to_the_header(title: str, name: str) -> None:
    check_header(WRITE(notice(facts={"title": title}, name=name)).content, "ada@example.com")


@pytest.mark.parametrize("text", [*HOSTILE, "@", "a@", "@b", "a@b@c", "a@[127.0.0.1]", "a@b..c"])
def test_what_is_no_address_is_told_apart_from_what_a_server_refuses(text: str) -> None:
    for address in (f"{text}@example.com", f"a@{text}", f"a@example.com{text}", text):
        try:
            mail = WRITE(notice(email=address))
        except Unaddressable:
            continue
        # What is left are addresses, if odd ones.
        assert "\r" not in mail.recipient
        assert mail.recipient.count("@") == 1
        head = mail.content.partition(b"\r\n\r\n")[0].decode()
        assert f"<{mail.recipient}>\r\nSubject: " in head
        assert head.count("\r\nBcc") == 0


@pytest.mark.parametrize("address", ["ada@" + "ü" * 60 + ".example", "ada@\u05d0a.example"])
def test_an_address_without_an_ascii_form_takes_no_mail(address: str) -> None:
    with pytest.raises(Unaddressable):
        WRITE(notice(email=address))


@given(
    st.emails().map(str.lower) | st.from_regex(r"[a-z=?_.ü'/-]{1,20}@[a-zü-]{1,20}\.example", fullmatch=True)
)
def test_every_address_that_an_account_can_have_is_written_as_it_is(address: str) -> None:
    try:
        accepted = check_email(address)
        mail = WRITE(notice(email=accepted))
    except (ValueError, Unaddressable):
        return
    local, _, domain = mail.recipient.rpartition("@")
    assert f"{local.strip(chr(34))}@{domain}" == f"{accepted.rpartition('@')[0]}@{domain}"
    meant = accepted.rpartition("@")[2]
    assert meant == (domain if meant.isascii() else domain.encode("ascii").decode("idna"))
    assert f"To: Ada Lovelace <{mail.recipient}>\r\n".encode() in mail.content.replace(b"\r\n <", b" <")
    assert mail.utf8 is not local.isascii()


@pytest.mark.parametrize(
    "text",
    ["Ümläute & Co", "家賃を払う", "=?utf-8?q?spam?=", "Ada, Countess (of) Lovelace", "x" * 60, "👩‍👧 ok"],
)
def test_names_and_titles_are_read_as_they_were_written(text: str) -> None:
    mail = email.message_from_bytes(
        WRITE(notice(facts={"title": text}, name=text)).content, policy=email.policy.default
    )
    assert mail["To"].addresses[0].display_name == text
    assert mail["Subject"] == f"Overdue: {text}"


ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
ASTRONAUT = "\U0001f469\U0001f3fd\u200d\U0001f680"
LETTERS = {
    "umlauts": ["ü"],
    "chinese": ["家"],
    "mixed": ["a", "家", "\U0001f680"],
    "zwj sequences": [ASTRONAUT],
    "families": ["\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"],
    "flags of regions": [ENGLAND],
    "flags of countries": ["\U0001f1e9\U0001f1ea", "\U0001f1eb\U0001f1f7"],
    "several marks": ["e\u0302\u0301", "o\u0323"],
    "hangul": ["\u1112\u1161\u11ab"],
    "arabic year sign": ["\u0601\u0661"],
    "ayah": ["\u06dd\u0661"],
    "keycaps": ["1\ufe0f\u20e3"],
}


@pytest.mark.parametrize("letters", LETTERS.values(), ids=LETTERS)
def test_encoded_words_are_short_and_break_no_letter(letters: list[str]) -> None:
    """RFC 2047 section 2: a word has 75 characters at most, and its line 76; section 5: whole characters."""
    title, name = "".join((letters * 60)[:60]), "".join((letters * 60)[:7])
    content = WRITE(notice(facts={"title": title}, name=name, email=f"{'a' * 60}@example.com")).content
    words = re.findall(rb"=\?utf-8\?b\?[^?]*\?=", content)
    assert len(words) > 1
    assert all(len(word) <= 75 for word in words)
    assert all(len(line) <= 76 for line in content.split(b"\r\n") if b"=?" in line)
    written = [decode_header(word.decode())[0][0].decode() for word in words]
    shown = "".join(written).replace("Overdue: ", "", 1).replace("…", "")
    assert shown == name + title[: len(shown) - len(name)]
    for word in written:
        rest = word.removeprefix("Overdue: ").removesuffix("…")
        while rest:
            letter = next(letter for letter in letters if rest.startswith(letter))
            rest = rest.removeprefix(letter)


def test_a_letter_longer_than_an_encoded_word_is_broken_between_characters() -> None:
    zalgo = "e" + "\u0301" * 50
    content = WRITE(notice(facts={"title": zalgo}, name="Ada")).content
    words = re.findall(rb"=\?utf-8\?b\?[^?]*\?=", content)
    assert all(len(word) <= 75 for word in words)
    assert "".join(decode_header(word.decode())[0][0].decode() for word in words) == f"Overdue: {zalgo}"


def test_a_long_address_stands_on_a_line_of_its_own() -> None:
    address = f"{'a' * 64}@{'.'.join(['d' * 60] * 3)}"
    content = WRITE(notice(name="n" * 60, email=address)).content
    assert f"To: {'n' * 60}\r\n <{address}>\r\n".encode() in content
    check_header(content, address)


@pytest.mark.parametrize(
    "hidden",
    ["\u202e", "\u2066", "\ufeff", "\u00ad", "\U000e0001", "\U000e0041\U000e0042\U000e007f", "\u180e"],
)
def test_format_characters_that_nobody_sees_are_left_out(hidden: str) -> None:
    content = WRITE(notice(facts={"title": f"a{hidden}b"}, name=f"a{hidden}b")).content
    assert head_of(content)["Subject"] == "Overdue: ab"
    assert head_of(content)["To"] == "ab <ada@example.com>"


@pytest.mark.parametrize(
    "kind", [NoticeKind.TASK_OVERDUE, NoticeKind.TASK_ASSIGNED, NoticeKind.TASK_REASSIGNED]
)
def test_a_title_that_invites_elsewhere_is_no_link_in_the_subject(kind: NoticeKind) -> None:
    title = "pay at https://evil.example/login or me@evil.example now"
    mail = email.message_from_bytes(
        WRITE(notice(kind, facts={"title": title})).content, policy=email.policy.default
    )
    subject = str(mail["Subject"])
    assert not re.search(r"https?:/|evil\.example|me@evil", subject)
    assert subject.replace("\u2060", "").endswith(title)


@pytest.mark.parametrize("name", ["see evil.example", "http://evil.example/login", "me@evil.example"])
def test_a_name_that_is_none_does_not_stand_before_the_address(name: str) -> None:
    assert head_of(WRITE(notice(name=name)).content)["To"] == "<ada@example.com>"


def test_long_names_and_titles_are_cut() -> None:
    content = WRITE(notice(facts={"title": "t" * 255}, name="n" * 255)).content
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert len(mail["Subject"]) == SUBJECT_MAX
    assert mail["Subject"].endswith("t…")
    name = head_of(content)["To"].removesuffix(" <ada@example.com>")
    assert str(make_header(decode_header(name))) == "n" * (NAME_MAX - 1) + "…"


def test_a_mail_tells_which_notice_it_is_and_when_it_happened() -> None:
    mail = head_of(WRITE(notice()).content)
    assert mail["Message-ID"] == f"<{ID}@tasks.example.com>"
    assert mail["X-TaskFlow-Notice"] == str(ID)
    assert mail["Date"] == AT.strftime("%a, %d %b %Y %H:%M:%S +0000")
    assert head_of(WRITE(replace(notice(), id=uuid4())).content)["Message-ID"] != mail["Message-ID"]


def test_a_long_domain_leaves_the_id_whole() -> None:
    domain = ".".join(["d" * 60] * 3)
    content = MailWriter(f"t@{domain}")(notice()).content
    assert f"Message-ID: <{ID}@{domain}>\r\n".encode() in content


def test_the_body_is_ascii_in_short_lines_whatever_it_says() -> None:
    content = WRITE(notice(facts={"title": "家賃 " * 60}, name="Ünal")).content
    assert content.isascii()
    body = content.partition(b"\r\n\r\n")[2]
    assert all(len(line) <= 78 for line in body.split(b"\r\n"))
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert [part.get_content_type() for part in mail.walk()][1:] == ["text/plain", "text/html"]
    assert not any(part.defects for part in mail.walk())


def test_nothing_shows_whom_a_mail_is_to() -> None:
    assert "ada" not in repr(WRITE(notice())).lower()
