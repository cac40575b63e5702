"""How people are told: by mail where a mail server is set, else in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from taskflow_bootstrap.errors import SettingsError
from taskflow_bootstrap.settings import Settings, variable
from taskflow_notify import LogNotifier, SmtpServer

if TYPE_CHECKING:
    from taskflow_notify.smtp import SmtpNotifier

ClosableNotifier: TypeAlias = "LogNotifier | SmtpNotifier"
"""A `Notifier` that whoever made it closes, by `aclose`."""


def make_notifier(settings: Settings) -> ClosableNotifier:
    """Return what sends notices; nothing connects before the first.

    Raises:
        SettingsError: The certificates that it is to believe cannot be read.
    """
    if not settings.smtp_url:
        return LogNotifier()
    settings.require("mail_from")
    from taskflow_notify.smtp import SmtpNotifier  # noqa: PLC0415 - a tenth of a second that others need not spend

    try:
        return SmtpNotifier(SmtpServer.parse(settings.smtp_url), settings.mail_from)
    except ValueError as error:
        raise SettingsError([f"{variable('smtp_url')} {error}."]) from error
