"""Requests that are done once however often they arrive, known by a key that their maker chose.

After draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

KEPT_FOR: Final = timedelta(hours=24)
"""How long an answer is kept, from its commit on; after that the same key is a new request."""
WAIT_FOR: Final = timedelta(seconds=5)
"""How long a request waits for another of the same key that is under way."""
KEY_MAX: Final = 255
"""Characters of a key."""


@dataclass(frozen=True, slots=True)
class Once:
    """What makes a request known again.

    Attributes:
        owner: Whose key it is; others' keys are others', whatever they say.
        key: As its maker chose it, 1 to 255 characters.
        fingerprint: Of all that was asked; the same key with another is a mistake.
        render: Makes the answer that is kept out of what the use case returns. It is called before
            the commit, so that a request that was acknowledged has its answer.
    """

    owner: UUID
    key: str
    fingerprint: bytes = field(repr=False)
    render: Callable[[Any], bytes] = field(repr=False)


class Replayed(Exception):
    """The request was done before; nothing was done now. No failure, and so none of `TaskFlowError`.

    Attributes:
        answer: What `Once.render` returned then.
    """

    def __init__(self, answer: bytes) -> None:
        super().__init__("done before")
        self.answer = answer
