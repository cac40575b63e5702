"""Others' words, made fit to stand in a line of ours: in a header field, a sentence, a log."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_JOINERS: Final = "\u200c\u200d"
"""They hide nothing: Persian and emoji are written with them."""
_VISIBLE: Final = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
"""Format characters that are seen: Unicode's property Prepended_Concatenation_Mark."""
_FLAG: Final = re.compile("(\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,7}\U000e007f)")
"""The flag of a region, such as England's (UTS 51 section C.1). Other tags hide text."""
_TAGS: Final = range(0xE0020, 0xE0080)
_SKINS: Final = range(0x1F3FB, 0x1F400)
_REGIONS: Final = range(0x1F1E6, 0x1F200)
_JAMO: Final = range(0x1160, 0x1200)
_LINKS: Final = re.compile(r"(?<=\S)([.:/@])(?=\S)")


def in_a_line(text: str, most: int) -> str:
    """Return a text in one line, cut at `most` characters.

    Whatever ends lines (CR, LF, U+2028 and more) or is a blank becomes one blank; what is not seen, such as
    the marks that turn the direction of writing, is left out: it could make a line look like another.
    """
    parts = _FLAG.split(text)
    parts[::2] = ("".join(map(_seen, part)) for part in parts[::2])
    line = " ".join("".join(parts).split())
    return line if len(line) <= most else f"{_cut(line, most - 1).rstrip()}…"


def letters(text: str) -> Iterator[str]:
    """Yield what a reader takes for one letter each: about Unicode's grapheme clusters (UAX 29)."""
    letter = ""
    for character in text:
        if letter and not _goes_on(letter, character):
            yield letter
            letter = ""
        letter += character
    if letter:
        yield letter


def _goes_on(letter: str, character: str) -> bool:
    code = ord(character)
    return (
        unicodedata.category(character)[0] == "M"
        or character in _JOINERS
        or letter[-1] == "\u200d"
        or letter[-1] in _VISIBLE
        or any(code in codes for codes in (_TAGS, _SKINS, _JAMO))
        or (code in _REGIONS and len(letter) == 1 and ord(letter) in _REGIONS)
    )


def _cut(line: str, most: int) -> str:
    kept = ""
    for letter in letters(line):
        if len(kept) + len(letter) > most:
            break
        kept += letter
    return kept or line[:most]


def unlinked(line: str) -> str:
    """Return a line of which mail programs make no links, though it looks the same.

    Anybody can register with somebody else's address and a title that invites to another site; mails that
    we send lend it our name. U+2060 (word joiner) has no width.
    """
    return _LINKS.sub("\\1\u2060", line)


def looks_like_a_link(line: str) -> bool:
    """Return whether a mail program might make a link of a part of it."""
    return _LINKS.search(line) is not None


def masked(email: str) -> str:
    """Return what may be logged of an address: `a***@example.com`."""
    local, at, domain = in_a_line(email, 320).rpartition("@")
    return f"{local[:1]}***{at}{domain}" if at else "***"


def _seen(character: str) -> str:
    match unicodedata.category(character):
        case "Cc" | "Zl" | "Zp":
            return " "
        case "Cf" | "Cs":
            return character if character in _JOINERS or character in _VISIBLE else ""
        case _:
            return character
