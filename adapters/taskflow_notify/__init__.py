"""Tells people: in the log, or by mail.

What sends mails, `taskflow_notify.smtp.SmtpNotifier`, is not loaded with the package: it costs a tenth of
a second that a command line without it need not spend.
"""

from taskflow_notify.log import LogNotifier
from taskflow_notify.server import Security, SmtpServer, check_sender

__all__ = ["LogNotifier", "Security", "SmtpServer", "check_sender"]
