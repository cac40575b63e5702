"""What a mail server's refusals mean: whether another try may meet something else."""

import aiosmtplib
import pytest

from taskflow_core import TaskFlowError, Unavailable, Undeliverable
from taskflow_notify.errors import translated


@pytest.mark.parametrize(
    ("code", "answer", "kind"),
    [
        # Whether it is the mailbox or the right to send there, nothing says.
        (550, "relay not permitted", Unavailable),
        (550, "", Unavailable),
        (550, "5.0.0 relaying denied", Unavailable),
        (550, "5.0.5 is the address of nobody", Undeliverable),
        (551, "User not local; please try somewhere else", Unavailable),
        (553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", Unavailable),
        (554, "Relay access denied\nSee 5.1.1 of our manual", Unavailable),
        (550, "5.1.1 User unknown", Undeliverable),
        (550, " 5.1.10 Recipient not found", Undeliverable),
        (551, "5.1.6 Moved", Undeliverable),
        (553, "5.1.3 Bad address", Undeliverable),
        (554, "5.4.14 Loops", Undeliverable),
        (550, "5.7.1 Relaying denied", Unavailable),
        (501, "Syntax", Undeliverable),
        (450, "greylisted", Unavailable),
    ],
)
def test_a_refused_recipient_is_for_good_where_the_server_says_that_it_is_the_recipient(
    code: int, answer: str, kind: type[TaskFlowError]
) -> None:
    error = translated(aiosmtplib.SMTPRecipientRefused(code, answer, "ada@example.com"))
    assert type(error) is kind
    assert error.detail == f"The mail server refused the recipient ({code})."


def test_a_refused_content_is_for_good_without_more_words() -> None:
    assert type(translated(aiosmtplib.SMTPDataError(554, "Transaction failed"))) is Undeliverable
