"""Notices as lines of the log: for development, and where no mail server is given."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from taskflow_notify.lines import in_a_line, masked

if TYPE_CHECKING:
    from taskflow_core.notices import Notice

_NAMES: Final = {
    "title": "title",
    "due_date": "due",
    "type": "type",
    "failures": "failures",
    "from": "role_before",
    "to": "role",
    "active": "active",
}
"""Of the facts, those that are logged, and as what."""
_FACT_MAX: Final = 120


class LogNotifier:
    """Tells nobody but who reads the log (port `Notifier`): one line for each notice, the address masked."""

    async def send(self, notice: Notice) -> None:
        facts = {
            name: in_a_line(notice.facts[fact], _FACT_MAX)
            for fact, name in _NAMES.items()
            if notice.facts.get(fact)
        }
        _log().info(
            "notice",
            kind=str(notice.kind),
            **facts,
            email=masked(notice.email),
            user=str(notice.user_id),
            notice_id=str(notice.id),
        )

    async def aclose(self) -> None:
        """Do nothing: there is no connection to close."""


@cache
def _log() -> Any:
    import structlog  # noqa: PLC0415 - a tenth of a second that processes without notices need not spend

    return structlog.get_logger("taskflow_notify")
