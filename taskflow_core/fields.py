"""What the fields of tasks and users have in common: leaving one as it is, and checking several at once."""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from taskflow_core.errors import Fault, InvalidInput, VersionMismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping


ExpectedVersion: TypeAlias = "int | Container[int] | None"
"""The version that something must have, or those of which it must have one; None for any."""


def require_version(version: int, expected: ExpectedVersion) -> None:
    """Raise `VersionMismatch` where a version is not one that is expected."""
    if isinstance(expected, int):
        expected = (expected,)
    if expected is not None and version not in expected:
        raise VersionMismatch


class Unset(Enum):
    """The type of `UNSET`: a field that a change leaves as it is, unlike None, which clears it."""

    UNSET = "unset"

    def __repr__(self) -> str:
        """Return the name that code uses."""
        return "UNSET"


UNSET: Final = Unset.UNSET
"""Leave this field as it is."""


def check_text(value: str, *, least: int, most: int) -> str:
    """Return `value` as it is, once it is known to be storable and of a fair length, in characters.

    Raises:
        ValueError: It is too short or too long, or holds what PostgreSQL cannot store as
            text (NUL, lone surrogates). The message is a sentence for people.
    """
    # The length first: it bounds the work of the scans.
    if len(value) > most:
        raise ValueError(f"must have at most {most} characters")
    if "\0" in value:
        raise ValueError("must not contain NUL")
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError("must be valid Unicode")
    if len(value) < least:
        raise ValueError("must not be empty" if least == 1 else f"must have at least {least} characters")
    return value


def check_line(value: str, *, most: int) -> str:
    """Return `value` trimmed: a title or a name, of which people see at least one character.

    Raises:
        ValueError: It is too long, cannot be stored, or nothing of it is visible.
    """
    text = check_text(value.strip(), least=1, most=most)
    if all(map(is_invisible, text)):
        raise ValueError("must not be empty")
    return text


def is_invisible(character: str) -> bool:
    """Return whether a character by itself shows nothing: blanks, control and format characters, fillers.

    Those are Unicode's White_Space and Default_Ignorable_Code_Point (UAX #44), and symbols that are blank.
    """
    return (
        character.isspace()
        or unicodedata.category(character) in ("Cc", "Cf")
        or _INVISIBLE.fullmatch(character) is not None
    )


# What neither category covers: joiners, fillers, variation selectors, places kept for more of them,
# and the blank symbols of Braille, hieroglyphs and music.
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U00013441\U00013442\U00016fe4\U0001d159\U000e0000-\U000e0fff]"
)


def check_fields(rules: Mapping[str, Callable[[Any], object]], given: Mapping[str, object]) -> dict[str, Any]:
    """Return `given` with each field as its rule makes it; fields that are `UNSET` are left out.

    Raises:
        InvalidInput: With every fault at once, each at its field's name.
    """
    checked: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, value in given.items():
        if value is UNSET:
            continue
        try:
            checked[name] = rules[name](value) if name in rules else value
        except ValueError as error:
            faults.append(Fault((name,), str(error)))
    if faults:
        raise InvalidInput(faults)
    return checked
