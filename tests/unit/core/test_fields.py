"""The rules that fields have in common."""

from typing import NoReturn

import pytest

from taskflow_core import UNSET, Fault, InvalidInput, Unset, VersionMismatch
from taskflow_core.fields import ExpectedVersion, check_fields, check_line, check_text, require_version


@pytest.mark.parametrize(
    "text",
    [
        "abc",
        "  abc  ",
        "äöü",
        "日本語",
        "\U0001f9d1\u200d\U0001f680",
        "\U0010ffff\uffff\ufffe",
        "\ud7ff\ue000",
        "a\n\t\x7f\x01",
        "\u202etxet",
    ],
)
def test_text_is_kept_as_it_is(text: str) -> None:
    assert check_text(text, least=0, most=100) == text


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("\0", "must not contain NUL"),
        ("abc\0def", "must not contain NUL"),
        ("ä\0", "must not contain NUL"),
        ("\ud800", "must be valid Unicode"),
        ("x\udfff", "must be valid Unicode"),
        ("abc\udbffdef", "must be valid Unicode"),
        ("\ud83d\ude80", "must be valid Unicode"),
    ],
)
def test_what_cannot_be_stored_as_text_is_refused(text: str, detail: str) -> None:
    with pytest.raises(ValueError, match=f"^{detail}$"):
        check_text(text, least=0, most=100)


@pytest.mark.parametrize(
    ("length", "least", "most", "detail"),
    [
        (0, 1, 5, "must not be empty"),
        (1, 1, 5, None),
        (5, 1, 5, None),
        (6, 1, 5, "must have at most 5 characters"),
        (1, 2, 5, "must have at least 2 characters"),
        (2, 2, 5, None),
        (0, 0, 5, None),
    ],
)
@pytest.mark.parametrize("character", ["x", "ß", "\U0001f680"])
def test_lengths_are_counted_in_characters(
    character: str, length: int, least: int, most: int, detail: str | None
) -> None:
    text = character * length
    if detail is None:
        assert check_text(text, least=least, most=most) == text
    else:
        with pytest.raises(ValueError, match=f"^{detail}$"):
            check_text(text, least=least, most=most)


class Unscanned(str):
    """A text that refuses to be looked through."""

    __slots__ = ()

    def __iter__(self) -> NoReturn:
        raise AssertionError("was scanned")

    def __contains__(self, _: object) -> NoReturn:
        raise AssertionError("was scanned")


def test_a_text_that_is_too_long_is_not_scanned() -> None:
    with pytest.raises(ValueError, match=r"^must have at most 100 characters$"):
        check_text(Unscanned("ß" * 101), least=0, most=100)


INVISIBLE = [
    *"\x01\x7f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180e\u180f\u200b\u200d\u200f\u202e\u2060",
    *"\u2065\u206f\u2800\u3164\ufe00\ufe0f\ufeff\uffa0\ufff0\ufff9\U00013441\U0001d159\U0001d173",
    *"\U000e0001\U000e0041\U000e0100\U000e0fff",
    "\u200b \u2060\u3000\u2800",
    "\u200b" * 255,
]


@pytest.mark.parametrize("text", ["", " ", *INVISIBLE], ids=ascii)
def test_a_line_that_nobody_sees_is_empty(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must not be empty$"):
        check_line(text, most=255)


@pytest.mark.parametrize("invisible", INVISIBLE[:-1], ids=ascii)
def test_what_is_invisible_may_stand_beside_what_is_not(invisible: str) -> None:
    assert check_line(f" {invisible}x{invisible}x ", most=255) == f"{invisible}x{invisible}x".strip()


# U+1FBFF is unassigned: it may become an emoji of a later Unicode.
@pytest.mark.parametrize(
    "text", ["x", "買", "\u0301", "❤\ufe0f", "\ue000", "\U0001fbff", "\u3000.\u200d"], ids=ascii
)
def test_one_visible_character_is_a_line(text: str) -> None:
    assert check_line(text, most=255) == text.strip()


def refuse(_: object) -> object:
    raise ValueError("is refused")


def test_every_field_is_as_its_rule_makes_it() -> None:
    given = {"a": " x ", "b": " x ", "c": None}
    assert check_fields({"a": str.strip}, given) == {"a": "x", "b": " x ", "c": None}


def test_what_is_unset_is_left_out_and_not_checked() -> None:
    assert check_fields({"a": refuse}, {"a": UNSET, "b": UNSET, "c": None}) == {"c": None}


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        check_fields({"a": refuse, "b": str, "c": refuse}, {"a": 1, "b": 2, "c": 3})
    assert caught.value.faults == (Fault(("a",), "is refused"), Fault(("c",), "is refused"))


def test_only_what_a_rule_refuses_is_a_fault() -> None:
    def broken(_: object) -> object:
        raise KeyError("a mistake of ours")

    with pytest.raises(KeyError):
        check_fields({"a": broken}, {"a": 1})


def test_unset_shows_itself_by_the_name_that_code_uses() -> None:
    assert repr(UNSET) == "UNSET"
    assert UNSET is Unset.UNSET


@pytest.mark.parametrize(
    ("expected", "fits"), [(None, True), (3, True), (4, False), ({2, 3}, True), ((), False)]
)
def test_a_version_is_one_of_those_expected(expected: ExpectedVersion, *, fits: bool) -> None:
    if fits:
        require_version(3, expected)
    else:
        with pytest.raises(VersionMismatch):
            require_version(3, expected)
