"""The core's rules as JSON Schema says them: for the OpenAPI document alone, nothing is checked by these.

A test holds each against the rule of the core that it tells of.
"""

from __future__ import annotations

from typing import Any, Final

from taskflow_core.ledger import KIND_MAX
from taskflow_core.tasks import DESCRIPTION_MAX
from taskflow_core.users import EMAIL_MAX, NAME_MAX, PASSWORD_MAX, PASSWORD_MIN

Schema = dict[str, Any]

_BLANK: Final = r"\s\x1c-\x1f\x85"
"""What `str.strip` removes. In ECMAScript `\\s` lacks the others; it has U+FEFF, which `str.strip` keeps.

Not as `\\uXXXX`: generators write such a character as it is, and U+2028 ends a line of JavaScript.
"""

NO_NUL: Final = r"^[^\x00]*$"


def trimmed(most: int) -> Schema:
    """Return the schema of a text of 1 to `most` characters once blanks around it are gone."""
    inner = rf"[^{_BLANK}\x00](?:[^\x00]{{0,{most - 2}}}[^{_BLANK}\x00])?"
    return {"pattern": rf"^[{_BLANK}]*{inner}[{_BLANK}]*$"}


TITLE: Final = trimmed(255) | {
    "description": "1 to 255 characters, at least one of them visible; blanks around it are removed.",
    "examples": ["Write the report"],
}
DESCRIPTION: Final = {"maxLength": DESCRIPTION_MAX, "pattern": NO_NUL}
TIME: Final = {
    "format": "date-time",
    # Years 1900 to 9998, and an offset; PostgreSQL and Python know no leap seconds.
    "pattern": (
        r"^(?:19[0-9]{2}|[2-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])"
        r"-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-5][0-9](?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})$"
    ),
    "description": (
        "RFC 3339 with an offset, in the years 1900 to 9998. Digits beyond microseconds are dropped; "
        "leap seconds are refused."
    ),
    "examples": ["2030-01-31T17:00:00Z"],
}
JOB_KIND: Final = {
    "minLength": 1,
    "maxLength": KIND_MAX,
    "pattern": NO_NUL,
    "description": "The kind of job, such as `task.overdue`.",
    "examples": ["task.overdue"],
}
EMAIL: Final = {
    "format": "email",
    "maxLength": EMAIL_MAX,
    "description": "An email address; letter case makes no difference.",
    "examples": ["ada@example.com"],
}
NAME: Final = trimmed(NAME_MAX) | {
    "description": "1 to 255 characters, at least one of them visible; blanks around it are removed.",
    "examples": ["Ada Lovelace"],
}
PASSWORD: Final = {
    "format": "password",
    "minLength": PASSWORD_MIN,
    "maxLength": PASSWORD_MAX,
    "pattern": NO_NUL,
    "description": "8 to 256 characters in Unicode's form NFKC; common passwords are refused.",
    "examples": ["correct horse battery staple"],
}
