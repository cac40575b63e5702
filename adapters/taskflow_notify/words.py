"""What mails say: subject, text and HTML of a notice, from the templates of this package.

There is one template for each kind of notice and of security event, which holds the words; two layouts make
text and HTML of them, so that the two cannot say different things.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from taskflow_core.notices import NoticeKind
from taskflow_core.security_events import EventType
from taskflow_notify.lines import in_a_line, looks_like_a_link, unlinked

if TYPE_CHECKING:
    from taskflow_core.notices import Notice

_FACT_MAX: Final = 255
_NAME_MAX: Final = 64
_WIDTH: Final = 76
_EVENTS: Final = frozenset(map(str, EventType))


@dataclass(frozen=True, slots=True)
class Worded:
    """A notice in words.

    Attributes:
        subject: May hold whatever a title holds, links too, line ends left out.
    """

    subject: str
    text: str
    html: str


class Words:
    """Puts notices into words; all templates are read at once, so that none is missed later."""

    def __init__(self) -> None:
        self._text = _templates("layout.txt.jinja", _quoted, autoescape=False)
        self._html = _templates("layout.html.jinja", _quoted_html, autoescape=True)

    def of(self, notice: Notice) -> Worded:
        """Return a notice in words.

        Raises:
            jinja2.UndefinedError: It lacks a fact that its kind has.
        """
        name, values = _template_of(notice), _values(notice)
        text, html = self._text[name], self._html[name]
        subject = "".join(text.blocks["subject"](text.new_context(values)))
        return Worded(in_a_line(subject, _FACT_MAX), text.render(values), html.render(values))


def _template_of(notice: Notice) -> str:
    if notice.kind is not NoticeKind.SECURITY_EVENT:
        return f"{notice.kind}.jinja"
    # An event that a newer version wrote is told of, too.
    event = notice.facts["type"]
    return f"{notice.kind}/{event if event in _EVENTS else 'other'}.jinja"


def _values(notice: Notice) -> dict[str, Any]:
    name = in_a_line(notice.name, _NAME_MAX)
    return {
        "facts": {fact: in_a_line(value, _FACT_MAX) for fact, value in notice.facts.items()},
        "name": "" if looks_like_a_link(name) else name,
        "user_id": str(notice.user_id),
        "at": notice.at,
    }


def _templates(layout: str, quoted: Callable[[str], str], *, autoescape: bool) -> dict[str, Template]:
    environment = Environment(
        loader=PackageLoader("taskflow_notify"),
        autoescape=autoescape,  # noqa: S701 - on for HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "quoted": quoted, "moment": _moment, "paragraph": _paragraph, "unlinked": unlinked,
    }  # fmt: skip
    environment.globals["layout"] = layout
    names = [name for name in environment.list_templates() if not name.startswith("layout.")]
    return {name: environment.get_template(name) for name in names}


def _quoted(line: str) -> str:
    return f"“{unlinked(line)}”"


def _quoted_html(line: str) -> str:
    # <bdi>: what is written from right to left turns nothing around it.
    return Markup("“<bdi>{}</bdi>”").format(unlinked(line))


def _moment(when: datetime | str) -> str:
    time = (datetime.fromisoformat(when) if isinstance(when, str) else when).astimezone(UTC)
    return f"{time.day} {_MONTHS[time.month - 1]} {time:%Y, %H:%M} UTC"


def _paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), _WIDTH, break_long_words=False, break_on_hyphens=False)


_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
