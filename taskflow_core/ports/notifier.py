"""Tells people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskflow_core.notices import Notice


class Notifier(Protocol):
    """Delivers notices, each at least once."""

    async def send(self, notice: Notice) -> None:
        """Hand the notice over, with its id, to whoever delivers it.

        Raises:
            Unaddressable: By its syntax alone the address takes none.
            Undeliverable: It was refused, and would be again.
            Unavailable: It was not accepted now; it may be later.
        """
        ...
