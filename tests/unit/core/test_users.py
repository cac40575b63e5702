"""Accounts: their fields' rules and what changes them."""

import unicodedata
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.samples import NOW, new_id, new_user
from taskflow_core import Credentials, InvalidInput, Role, User, UserChanges, UserView, VersionMismatch
from taskflow_core.users import (
    check_email,
    check_name,
    check_new_password,
    check_password,
    normalized_password,
)

LATER = NOW + timedelta(hours=1)
LABEL = "x" * 63

EMAILS = {
    "a@b": "a@b",
    "Ada.Lovelace+tag@Example.COM": "ada.lovelace+tag@example.com",
    "  ada@example.com\n": "ada@example.com",
    "ADA@EXAMPLE.COM": "ada@example.com",
    "zoë@bücher.example": "zoë@bücher.example",
    "ZOË@BÜCHER.example": "zoë@bücher.example",
    "zoe\u0308@example.com": "zoë@example.com",
    "ΣΊΣΥΦΟΣ@example.com": "σίσυφοσ@example.com",
    "\uff46\uff55\uff4c\uff4c\uff20\uff57\uff49\uff44\uff54\uff48\uff0ecom": "full@width.com",
    "\ufb01ne@example.com": "fine@example.com",
    "İ@example.com": "i\u0307@example.com",
    "用户@例子.广告": "用户@例子.广告",
    "ada@xn--bcher-kva.example": "ada@bücher.example",
    "ada@XN--BCHER-KVA.xn--bcher-kva": "ada@bücher.bücher",
    "ada@\uff58\uff4e--bcher-kva.example": "ada@bücher.example",
    "ada@bu\u0308cher.example": "ada@bücher.example",
    "xn--bcher-kva@example.com": "xn--bcher-kva@example.com",
    "ada@xn--fuball-cta.de": "ada@xn--fuball-cta.de",
    "ada@xn--3xa.gr": "ada@xn--3xa.gr",
    "ada@xn--.example": "ada@xn--.example",
    "o'neil@example.com": "o'neil@example.com",
    "!#$%&'*+/=?^_`{|}~-@example.com": "!#$%&'*+/=?^_`{|}~-@example.com",
    "a" * 64 + "@example.com": "a" * 64 + "@example.com",
    f"a@{LABEL}.{LABEL}.{LABEL}.{'x' * 60}": f"a@{LABEL}.{LABEL}.{LABEL}.{'x' * 60}",
}
FOLDED_TO_ANOTHERS = [
    "weiß",
    "WEIẞ",
    "fußball",
    "σίσυφος",
    "\u03f2",
    "\u1fb3",
    "\u1fbc",
    "\u03b1\u0345",
    "\u1c80",
]
"""Addresses that are others' once folded: `fussball.de` is a domain of its own."""
NO_EMAILS = [
    "",
    " ",
    "a",
    "@",
    "a@",
    "@b",
    "a@b@c",
    "a@@b",
    "a b@c",
    "a@b c",
    "a\u00a0b@c",
    "a\tb@c",
    "a\x7fb@c",
    "a\u200bb@c",
    "a\u202eb@c",
    "a\u3000b@c",
    "a\u2028b@c",
    "a@.b",
    "a@b.",
    "a@b..c",
    "a@b\u3002c",
    "a@b\uff61c",
    "a@b.c\u3002",
    "a@b.c\uff0e",
    "a\u3002b@c",
    "a\u00ad@b",
    "a\u034f@b",
    "a@b\ufe0f",
    "a@b\u3164",
    "a@b\u2800",
    f"a@{'ü' * 62}",
    "a@xn--\u0131.example",
    "a@xn--ab-r13a.example",
    "a@xn--ab-10y.example",
    "a@.",
    "a\0@b",
    "a\ud800@b",
    '"a"@b',
    "<a@b>",
    "a@b,c@d",
    "a;b@c",
    "a:b@c",
    "a\\b@c",
    "a(b)@c",
    "a@[127.0.0.1]",
    "\ufdfa@b",
    "a" * 65 + "@example.com",
    "ß" * 33 + "@example.com",
    f"a@{LABEL}x.com",
    f"a@{LABEL}.{LABEL}.{LABEL}.{'x' * 61}",
    f"a@{'ß' * 125}.com",
    "x" * 1_000_000,
    *(f"{word}@example.com" for word in FOLDED_TO_ANOTHERS),
    *(f"a@{word}.de" for word in FOLDED_TO_ANOTHERS),
]


@pytest.mark.parametrize(("given", "kept"), EMAILS.items())
def test_emails_are_kept_folded(given: str, kept: str) -> None:
    assert check_email(given) == kept


@pytest.mark.parametrize("email", NO_EMAILS)
def test_what_cannot_be_an_email(email: str) -> None:
    with pytest.raises(ValueError, match=r"must"):
        check_email(email)


@pytest.mark.parametrize("word", FOLDED_TO_ANOTHERS)
def test_no_mail_goes_to_whom_another_address_is(word: str) -> None:
    for email in (f"{word}@example.com", f"ada@{word}.de"):
        with pytest.raises(ValueError, match="such as ß or ς"):
            check_email(email)


def test_an_email_is_kept_in_another_letter_case_or_refused() -> None:
    folded = [c for c in map(chr, range(0x110000)) if c.casefold() != c == unicodedata.normalize("NFKC", c)]
    assert len(folded) > 1000
    for letter in folded:
        try:
            kept = check_email(f"{letter}@b").removesuffix("@b")
        except ValueError:
            continue
        assert kept in (letter.lower(), letter.upper()), letter


# A ligature, a capital and an accent each: folding one makes a place for the next.
@pytest.mark.parametrize("email", [*EMAILS, "\u01f0\u0301@x", "A\u0323\u0307@x", "\u0390@x", "\u03d3@x"])
def test_a_folded_email_stays_as_it_is(email: str) -> None:
    assert check_email(check_email(email)) == check_email(email)


@pytest.mark.parametrize(("given", "kept"), [("x", "x"), ("  Ada  L. ", "Ada  L."), ("ß" * 255, "ß" * 255)])
def test_names_are_kept_trimmed(given: str, kept: str) -> None:
    assert check_name(given) == kept


@pytest.mark.parametrize("name", ["", " \u3000 ", "\u200b\u2800", "x" * 256, "a\0b", "\udc00"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"must"):
        check_name(name)


@pytest.mark.parametrize(
    "password", ["12345678", " " * 8, "x" * 256, "\U0001f511" * 256, " padded ", "é" * 256, "x\u200bPASSWORD"]
)
def test_passwords_are_kept_as_they_are(password: str) -> None:
    assert check_password(password) == password


@pytest.mark.parametrize(
    ("password", "kept"),
    [
        ("cafe\u0301s cafe\u0301s", "cafés cafés"),
        ("\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44", "password"),
        ("\u3000padded\u00a0", " padded "),
        ("ﬁ" * 8, "fi" * 8),
        ("e\u0301" * 256, "é" * 256),
        ("\u1fb7" * 256, "\u1fb7" * 256),
        (unicodedata.normalize("NFD", "\u1f82" * 256), "\u1f82" * 256),
    ],
)
def test_passwords_are_normalized(password: str, kept: str) -> None:
    assert check_password(password) == normalized_password(password) == kept


def test_no_character_is_more_than_four_decomposed() -> None:
    assert max(len(unicodedata.normalize("NFD", chr(c))) for c in range(0x110000)) == 4


@pytest.mark.parametrize(
    "password",
    [
        "",
        "e\u0301" * 7,
        "\ufdfa",
        "ﬁ" * 7,
        "\ufdfa" * 15,
        "e\u0301" * 257,
        "\ufdfa" * 1_000_000,
        "1234567",
        "\U0001f511" * 7,
        "x" * 257,
        "1234567\0",
        "1234567\ud800",
    ],
)
def test_passwords_that_are_refused(password: str) -> None:
    with pytest.raises(ValueError, match=r"must"):
        check_password(password)


def test_a_new_account_is_an_active_user_at_version_1() -> None:
    id = new_id()
    user = User.create(id=id, email="ADA@Example.com", name=" Ada ", password_hash="hash", now=NOW)
    assert user == new_user(id=id, email="ada@example.com", name="Ada", password_hash="hash")
    assert (user.role, user.active, user.version, user.deleted_at) == (Role.USER, True, 1, None)


def test_all_that_is_given_is_kept() -> None:
    user = User.create(
        id=new_id(), email="a@b", name="A", password_hash="hash", now=NOW, role=Role.ADMIN, active=False
    )
    assert (user.role, user.active) == (Role.ADMIN, False)


def test_all_faults_are_told() -> None:
    with pytest.raises(InvalidInput) as caught:
        User.create(id=new_id(), email="x", name="", password_hash="hash", now=NOW)
    assert [fault.path for fault in caught.value.faults] == [("email",), ("name",)]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"email": "NEW@example.com"}, {"email": "new@example.com"}),
        ({"name": " New "}, {"name": "New"}),
        ({"role": Role.ADMIN}, {"role": Role.ADMIN}),
        ({"active": False}, {"active": False}),
        (
            {"email": "n@x", "name": "N", "role": Role.MANAGER},
            {"email": "n@x", "name": "N", "role": Role.MANAGER},
        ),
    ],
)
def test_a_change_is_one_version(given: dict[str, Any], kept: dict[str, Any]) -> None:
    user = new_user()
    expected = replace(user, **kept, version=2, updated_at=LATER)
    assert user.change(UserChanges(**given), LATER)
    assert user == expected


@pytest.mark.parametrize(
    "same", [{}, {"email": " A@B "}, {"name": " A Person "}, {"role": Role.USER}, {"active": True}]
)
def test_what_changes_nothing_makes_no_version(same: dict[str, Any]) -> None:
    user = new_user(email="a@b")
    untouched = replace(user)
    assert not user.change(UserChanges(**same), LATER)
    assert user == untouched


def test_a_fault_leaves_the_account_as_it_was() -> None:
    user = new_user()
    untouched = replace(user)
    with pytest.raises(InvalidInput):
        user.change(UserChanges(name="", role=Role.ADMIN), LATER)
    assert user == untouched


def test_a_clock_behind_never_moves_an_account_back() -> None:
    user = new_user(updated_at=LATER)
    user.change(UserChanges(name="Another"), NOW)
    assert user.updated_at == LATER


def test_a_deleted_account_is_inactive_for_good() -> None:
    user = new_user(role=Role.ADMIN)
    expected = replace(user, deleted_at=LATER, active=False, version=2, updated_at=LATER)
    user.mark_deleted(LATER)
    assert user == expected


@pytest.mark.parametrize(
    ("given", "administers"),
    [
        ({"role": Role.ADMIN}, True),
        ({"role": Role.ADMIN, "active": False}, False),
        ({"role": Role.ADMIN, "deleted_at": NOW}, False),
        ({"role": Role.MANAGER}, False),
        ({"role": Role.USER}, False),
    ],
)
def test_who_administers(given: dict[str, Any], *, administers: bool) -> None:
    assert new_user(**given).administers is administers


def test_a_version_must_be_the_present_one_where_it_is_given() -> None:
    user = new_user(version=3)
    user.require_version(None)
    user.require_version(3)
    for version in (2, 4, 0):
        with pytest.raises(VersionMismatch):
            user.require_version(version)


def test_a_view_shows_every_field_but_secrets_and_deletion() -> None:
    user = new_user(role=Role.ADMIN, active=False, version=4, updated_at=LATER)
    view = UserView.of(user)
    hidden = {"password_hash", "password_version", "deleted_at"}
    assert {name: getattr(view, name) for name in UserView.__slots__} == {
        name: getattr(user, name) for name in User.__slots__ if name not in hidden
    }
    assert Credentials(view, "hash", 1).user is view


def test_a_new_password_is_another_version() -> None:
    user = new_user(password_version=4)
    expected = replace(user, password_hash="new", password_version=5, version=2, updated_at=LATER)
    user.set_password("new", LATER)
    assert user == expected


COMMON = frozenset({"iloveyou", "correct horse"})
OWN, FIRST = "must not be your name or email", "is one of the passwords that are tried first"


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("1234567", "must have at least 8 characters"),
        ("x" * 257, "must have at most 256 characters"),
        ("1234567\0", "must not contain NUL"),
        ("1234567\ud800", "must be valid Unicode"),
        ("iloveyou", FIRST),
        ("\uff49loveyou", FIRST),
        ("correct horse", FIRST),
        ("Ada Lovelace", OWN),
        ("  ada LOVELACE ", OWN),
        ("Ad\uff41 Lovelace", OWN),
        ("straße-fan@example.com", OWN),
        ("STRASSE-FAN@EXAMPLE.COM", OWN),
        ("Straße-Fan", OWN),
        ("iloveyou ", None),
        ("Ada Lovelace 1815", None),
        ("@example.com", None),
        ("aaaaaaaa", None),
        ("        ", None),
        ("\U0001f511" * 8, None),
        ("x" * 256, None),
    ],
)
def test_which_passwords_may_be_set(password: str, fault: str | None) -> None:
    def check() -> str:
        return check_new_password(
            password, email=" Straße-Fan@example.com", name=" Ada Lovelace ", common=COMMON
        )

    if fault is None:
        assert check() == password
    else:
        with pytest.raises(ValueError, match=f"^{fault}"):
            check()
