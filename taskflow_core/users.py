"""Users and their roles: what an account is, and every rule about its fields."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal

from taskflow_core.fields import (
    UNSET,
    Unset,
    check_fields,
    check_line,
    check_text,
    is_invisible,
    require_version,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping
    from datetime import datetime
    from uuid import UUID

    from taskflow_core.fields import ExpectedVersion

EMAIL_MAX: Final = 254
"""Characters; RFC 5321 section 4.5.3.1.3 less the angle brackets."""
NAME_MAX: Final = 255
LOCAL_PART_MAX: Final = 64
"""Characters before the @; RFC 5321 section 4.5.3.1.1."""
LABEL_MAX: Final = 63
"""Characters between two dots of a domain; RFC 1035 section 2.3.4."""
PASSWORD_MIN: Final = 8
PASSWORD_MAX: Final = 256


class Role(StrEnum):
    """The role of a user, which decides what the user may do."""

    USER = "user"
    MANAGER = "manager"
    ADMIN = "admin"


def check_email(value: str) -> str:
    """Return the address as accounts are known by it: NFKC, case-folded; what it returns it leaves as it is.

    A domain label in ASCII (`xn--`) is returned in Unicode, so that one mailbox has one account.

    The syntax check is the one that HTML's `input type=email` makes in spirit: one `@`, something
    on both sides, no blanks or control characters. Only a mail that arrives proves more.

    Mails go to what is returned: where that differs from what was given by more than letter case and
    compatible forms (NFKC), it is another's address, as `fussball.de` is not `fußball.de`.

    Raises:
        ValueError: It cannot be an address, or would become another's.
    """
    text = check_text(value.strip(), least=1, most=EMAIL_MAX)
    folded = _folded(text)
    local, at, domain = folded.rpartition("@")
    labels = [_label(label) for label in domain.split(".")]
    email = f"{local}{at}{'.'.join(labels)}"
    # The ideographic full stop is a dot to those who send mails. `xn--` can hide what is invisible.
    blank = any(c == "\u3002" or is_invisible(c) for c in folded + email)
    if not at or not local or "@" in local or blank or len(local) > LOCAL_PART_MAX or len(email) > EMAIL_MAX:
        raise ValueError("must be an email address")
    if not all(labels) or any(len(label) > LABEL_MAX for label in labels) or set('<>(),;:\\"[]') & set(email):
        raise ValueError("must be an email address")
    if not _folds_letter_case_alone(text):
        raise ValueError("must have no letter, such as ß or ς, that letter case makes another one")
    return email


def _label(label: str) -> str:
    """Return a domain's label in Unicode, or in ASCII where the standard library has no Unicode for it.

    Its IDNA is that of 2003, which has no ß, ς or joiner. `check_email` refuses them, so that a label with
    one has its ASCII form only.
    """
    if label.isascii() and not label.startswith("xn--"):
        return label
    try:
        ascii_form = label.encode("idna")
        unicode_form = ascii_form.decode("idna")
    except UnicodeError:
        if label.isascii():
            return label
        raise ValueError("must have a domain that mail can be sent to") from None
    return unicode_form if _folded(unicode_form) == unicode_form else ascii_form.decode()


def _folded(text: str) -> str:
    # Each of the two can make work for the other (an ß with an accent), so once is not enough.
    folded = unicodedata.normalize("NFKC", text.casefold())
    return folded if folded == text else _folded(folded)


def _folds_letter_case_alone(text: str) -> bool:
    # Letter by letter: how a word is lowered depends on where a Σ stands in it. Cherokee folds to capitals.
    letters = unicodedata.normalize("NFKC", text)
    return all(unicodedata.normalize("NFKC", c.casefold()) in (c.lower(), c.upper()) for c in letters)


def check_name(value: str) -> str:
    """Return the name trimmed; 1 to 255 characters.

    Raises:
        ValueError: It is empty or too long, or nothing of it is visible.
    """
    return check_line(value, most=NAME_MAX)


def normalized_password(value: str) -> str:
    """Return a password as it is hashed and compared: in NFKC (NIST SP 800-63B), nothing trimmed.

    One keyboard or system gives `é` as one character, another as two. What no normalization makes a valid
    password of is returned without its end, so that the work is bounded.
    """
    return unicodedata.normalize("NFKC", value[: _DECOMPOSED_MAX * PASSWORD_MAX + 1])[: PASSWORD_MAX + 1]


_DECOMPOSED_MAX: Final = 4
"""Characters that NFD makes of one at most (UAX #15 section 9, in UTF-32)."""


def check_password(value: str) -> str:
    """Return the password in NFKC: 8 to 256 characters, and as given 8 at least; nothing is trimmed.

    Raises:
        ValueError: It is too short or too long, or is not valid Unicode.
    """
    # NFKC makes up to 18 characters of one.
    check_text(value[:PASSWORD_MIN], least=PASSWORD_MIN, most=PASSWORD_MIN)
    return check_text(normalized_password(value), least=PASSWORD_MIN, most=PASSWORD_MAX)


def check_new_password(password: str, *, email: str, name: str, common: Container[str]) -> str:
    """Return a password that may be set, in NFKC: long enough, not a common one, not one's name or email.

    By NIST SP 800-63B section 3.1.1.2: no rules of composition.

    Raises:
        ValueError: It may not.
    """
    password = check_password(password)
    own = (text.strip() for text in (email, email.partition("@")[0], name))
    # What is longer breaks its own rule; to fold a megabyte takes a second.
    if _folded(password.strip()) in {_folded(text) for text in own if len(text) <= NAME_MAX}:
        raise ValueError("must not be your name or email")
    if password in common:
        raise ValueError("is one of the passwords that are tried first; choose another")
    return password


FIELD_RULES: Final[Mapping[str, Callable[[Any], object]]] = {
    "email": check_email,
    "name": check_name,
    "password": check_password,
}
"""The rule of each field that has one beyond its type; a rule raises ValueError with a sentence."""


@dataclass(frozen=True, slots=True)
class UserChanges:
    """A change of a user: every field that is not `UNSET` is to become what is given."""

    email: str | Literal[Unset.UNSET] = UNSET
    name: str | Literal[Unset.UNSET] = UNSET
    role: Role | Literal[Unset.UNSET] = UNSET
    active: bool | Literal[Unset.UNSET] = UNSET
    notifications: bool | Literal[Unset.UNSET] = UNSET

    def given(self) -> dict[str, object]:
        """Return the fields that are to change, by name."""
        fields = {
            "email": self.email, "name": self.name, "role": self.role, "active": self.active,
            "notifications": self.notifications,
        }  # fmt: skip
        return {name: value for name, value in fields.items() if value is not UNSET}


@dataclass(slots=True, kw_only=True)
class User:
    """An account.

    Attributes:
        email: As `check_email` returns it; unique among live accounts.
        password_hash: What `PasswordHasher.hash` returned; never leaves the core's ports.
        password_version: One more with each new password; a log-in holds only if it has not moved.
        active: Whether it may sign in.
        notifications: Whether it wants to be told of its tasks. Of what happens to the account it is told
            in any case: who broke into it could switch that off first.
        deleted_at: Set when the account is marked; its tasks and then its row are purged after that.
        version: 1 at creation, one more with each change; what an ETag shows.
    """

    id: UUID
    email: str
    name: str
    password_hash: str
    role: Role
    active: bool
    created_at: datetime
    updated_at: datetime
    version: int = 1
    password_version: int = 1
    notifications: bool = True
    deleted_at: datetime | None = None

    @classmethod
    def create(
        cls,
        *,
        id: UUID,
        email: str,
        name: str,
        password_hash: str,
        now: datetime,
        role: Role = Role.USER,
        active: bool = True,
    ) -> User:
        """Return a new account at version 1.

        Raises:
            InvalidInput: The email or the name breaks its rule.
        """
        fields = check_fields(FIELD_RULES, {"email": email, "name": name})
        return cls(
            id=id, email=fields["email"], name=fields["name"], password_hash=password_hash,
            role=role, active=active, created_at=now, updated_at=now,
        )  # fmt: skip

    @property
    def administers(self) -> bool:
        """Whether it counts as an active admin."""
        return self.role is Role.ADMIN and self.active and self.deleted_at is None

    def require_version(self, expected: ExpectedVersion) -> None:
        """Raise `VersionMismatch` where the present version is not one that is expected."""
        require_version(self.version, expected)

    def change(self, changes: UserChanges, now: datetime) -> bool:
        """Apply `changes`; return whether anything became different (then the version moved).

        Raises:
            InvalidInput: A field breaks its rule; nothing is changed.
        """
        fields = check_fields(FIELD_RULES, changes.given())
        moved = {name: value for name, value in fields.items() if getattr(self, name) != value}
        for name, value in moved.items():
            setattr(self, name, value)
        if moved:
            self._touch(now)
        return bool(moved)

    def set_password(self, password_hash: str, now: datetime) -> None:
        """Replace the password; log-ins by the old one that are under way come to nothing."""
        self.password_hash = password_hash
        self.password_version += 1
        self._touch(now)

    def mark_deleted(self, now: datetime) -> None:
        """Close the account for good; its email is free from now on."""
        self.deleted_at = now
        self.active = False
        self._touch(now)

    def _touch(self, now: datetime) -> None:
        self.updated_at = max(now, self.updated_at)
        self.version += 1


@dataclass(frozen=True, slots=True)
class UserView:
    """A user as others see it: no secret in it."""

    id: UUID
    email: str
    name: str
    role: Role
    active: bool
    created_at: datetime
    updated_at: datetime
    version: int
    notifications: bool = True

    @classmethod
    def of(cls, user: User) -> UserView:
        """Return the view of an account that is loaded already."""
        return cls(
            user.id, user.email, user.name, user.role, user.active,
            user.created_at, user.updated_at, user.version, user.notifications,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signing in needs to know of an account.

    Attributes:
        known_origin: Whether it signed in by this agent from this network before.
        known_network: Whether it signed in from this network before.
        has_signed_in: Whether it ever did.
    """

    user: UserView
    password_hash: str
    password_version: int
    known_origin: bool = False
    known_network: bool = False
    has_signed_in: bool = False
