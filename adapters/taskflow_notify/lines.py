"""Others' words, made fit to stand in a line of ours: in a header field, a sentence, a log."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_JOINERS: Final = "\u200c\u200d"
"""They hide nothing: Persian and emoji are written with them."""
_LINKS: Final = re.compile(r"(?<=\S)([.:/@])(?=\S)")


def in_a_line(text: str, most: int) -> str:
    """Return a text in one line, cut at `most` characters.

    Whatever ends lines (CR, LF, U+2028 and more) or is a blank becomes one blank; what is not seen, such as
    the marks that turn the direction of writing, is left out: it could make a line look like another.
    """
    line = " ".join("".join(map(_seen, text)).split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


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
            return character if character in _JOINERS else ""
        case _:
            return character
