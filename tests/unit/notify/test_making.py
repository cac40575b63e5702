"""Which notifier the settings choose."""

from pathlib import Path

import pytest

from support.mail_server import CERTIFICATE
from taskflow_bootstrap.errors import SettingsError
from taskflow_bootstrap.notifying import make_notifier
from taskflow_bootstrap.settings import Settings
from taskflow_notify import LogNotifier
from taskflow_notify.smtp import SmtpNotifier


async def test_without_a_mail_server_notices_go_to_the_log() -> None:
    notifier = make_notifier(Settings())
    assert isinstance(notifier, LogNotifier)
    await notifier.aclose()


async def test_with_a_mail_server_they_are_mails() -> None:
    settings = Settings(smtp_url=f"smtp://127.0.0.1?ca={CERTIFICATE}", mail_from="taskflow@example.com")
    notifier = make_notifier(settings)
    assert isinstance(notifier, SmtpNotifier)
    await notifier.aclose()


def test_a_mail_server_needs_a_sender() -> None:
    with pytest.raises(SettingsError, match="TASKFLOW_MAIL_FROM is not set"):
        make_notifier(Settings(smtp_url="smtp://127.0.0.1"))


def test_certificates_that_cannot_be_read_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name in ("missing.pem", "empty.pem", "."):
        url = f"smtps://me:hunter2@127.0.0.1?ca={tmp_path / name}"
        with pytest.raises(
            SettingsError, match="TASKFLOW_SMTP_URL must name a file of certificates"
        ) as caught:
            make_notifier(Settings(smtp_url=url, mail_from="taskflow@example.com"))
        assert "hunter" not in str(caught.value)
