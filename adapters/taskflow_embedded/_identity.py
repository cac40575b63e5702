"""As whom a server runs. PostgreSQL refuses to run as root, and its initdb wants its user to have a name.

Tried in this order, the least harm first; no account is ever made and no permission outside the data
directory changed:

1. as we are, where that is allowed;
2. a user namespace (Linux), in which we have another number: outside it the files stay ours;
3. as root only: an existing account (the data directory's owner, else `postgres`, else `nobody`). On Linux
   it keeps one power of root, passage through directories that are closed to it, so that a data directory
   under /root works too.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from taskflow_embedded.errors import ServerError

_ACCOUNTS = ("postgres", "_postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Identity:
    """`kind` is "namespace" or "account"; `uid` and `gid` are those the server sees itself as."""

    kind: str
    uid: int
    gid: int

    @property
    def owner(self) -> tuple[int, int]:
        """User and group of the server's files as everybody else sees them."""
        return (self.uid, self.gid) if self.kind == "account" else (os.geteuid(), os.getegid())


def choose(directory: Path, *, may_be_root: bool, refusal: Callable[[Identity], str]) -> Identity | None:
    """As whom a server that keeps its data in `directory` is to run; None means as we are.

    `refusal` tries an identity and returns why it does not work, or "". Raises `ServerError` when none works.
    """
    if _as_we_are(directory, may_be_root):
        return None
    refusals = []
    for identity in _candidates(directory, may_be_root):
        reason = refusal(identity)
        if not reason:
            return identity
        refusals.append(f"{identity.kind} {identity.uid}: {reason}")
    raise ServerError(_advice(refusals))


def give_to(data: Path, identity: Identity | None) -> None:
    """Let the server's user own its `data`, which PostgreSQL insists on: a need of root's only."""
    owner = identity.owner if identity else (os.geteuid(), os.getegid())
    if os.geteuid() != 0 or data.stat().st_uid == owner[0]:
        return
    for path in (data, *data.rglob("*")):
        os.chown(path, *owner, follow_symlinks=False)


def _as_we_are(directory: Path, may_be_root: bool) -> bool:
    if os.geteuid() == 0:
        return may_be_root and directory.stat().st_uid == 0
    return may_be_root or _named(os.geteuid()) is not None


def _candidates(directory: Path, may_be_root: bool) -> Iterator[Identity]:
    owner = directory.stat()
    if owner.st_uid != os.geteuid() and (may_be_root or _named(owner.st_uid)):
        # Root starts what somebody else began: that person must be able to go on with it afterwards.
        yield Identity("account", owner.st_uid, owner.st_gid)
        return
    accounts = [account for name in _ACCOUNTS if (account := _account(name)) is not None]
    if sys.platform == "linux" and accounts:
        yield Identity("namespace", accounts[-1].pw_uid, accounts[-1].pw_gid)
    if os.geteuid() == 0:
        for account in accounts:
            yield Identity("account", account.pw_uid, account.pw_gid)


def _account(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _named(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _advice(refusals: list[str]) -> str:
    tried = "; ".join(refusals) or "there is no account `postgres` or `nobody` on this system"
    if os.geteuid() == 0:
        return (
            "PostgreSQL refuses to run as root, and no other way worked here. Start TaskFlow as an ordinary "
            "user (in a container: --user with one that /etc/passwd names), or use a PostgreSQL server of "
            f"your own. Tried: {tried}"
        )
    return (
        f"PostgreSQL needs a user with a name, and user {os.geteuid()} has no entry in /etc/passwd. Add one, "
        f"start as another user, or use a PostgreSQL server of your own. Tried: {tried}"
    )
