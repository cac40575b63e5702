"""Where requests come from, as far as it is remembered: keyed hashes, never an address."""

from __future__ import annotations

import hashlib
import hmac
from itertools import islice
from typing import Final

from taskflow_core.sessions import USER_AGENT_MAX, Origin
from taskflow_security.addresses import Address, parsed
from taskflow_security.keys import checked, derived

_HASH_BYTES: Final = 16
_ADDRESS_BITS: Final = {4: 32, 6: 64}
"""Of an IPv6 address the /64 counts: within it whoever has one has them all."""
_NETWORK_BITS: Final = {4: 24, 6: 48}


class Origins:
    """Tells origins of requests. The same origin gets the same hashes from whoever has the same key.

    Args:
        key: A secret of 32 bytes or more. Under another key every origin is a new one.

    Raises:
        ValueError: The key is too short.
    """

    def __init__(self, key: str) -> None:
        (secret,) = checked([key])
        self._key = derived(secret, "origin")

    def of(self, address: str | None, user_agent: str | None) -> Origin:
        """Return the origin of a request.

        Args:
            address: Of the client; None, or what is no IP address, is one that is not known.
            user_agent: What the client calls itself.
        """
        agent = _readable(user_agent or "")
        found = parsed(address or "")
        if found is None:
            return Origin(user_agent=agent)
        return Origin(
            address=self._hash("address", found, _ADDRESS_BITS),
            network=self._hash("network", found, _NETWORK_BITS),
            user_agent=agent,
        )

    def subject(self, address: str | None) -> str:
        """Return what requests of an address are counted under; all whose address is not known are one."""
        found = parsed(address or "")
        return "unknown" if found is None else self._hash("subject", found, _ADDRESS_BITS)

    def _hash(self, purpose: str, address: Address, bits: dict[int, int]) -> str:
        kept = int(address) >> (address.max_prefixlen - bits[address.version])
        message = f"{purpose} {address.version} {kept:x}".encode()
        return hmac.digest(self._key, message, hashlib.sha256)[:_HASH_BYTES].hex()


def _readable(user_agent: str) -> str | None:
    """Return the beginning without what cannot be seen: controls, marks of direction, line separators."""
    # No longer than a header; stripped first, so that blanks do not crowd out the name.
    shown = (character for character in user_agent.strip() if character.isprintable())
    return "".join(islice(shown, USER_AGENT_MAX)).strip() or None
