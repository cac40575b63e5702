"""Sign in with email and password."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskflow_core.errors import InvalidCredentials, Overloaded, TooManyAttempts
from taskflow_core.security_events import FAILURES_TOLD, EventType, SecurityEvent
from taskflow_core.sessions import Origin, Session
from taskflow_core.use_cases.events import keep_event
from taskflow_core.users import check_email, normalized_password

if TYPE_CHECKING:
    from uuid import UUID

    from taskflow_core.ports.persistence import LoginAttempts, Transactions, UserReads
    from taskflow_core.ports.security import PasswordHasher
    from taskflow_core.ports.time import Clock, Ids
    from taskflow_core.throttle import Attempt
    from taskflow_core.use_cases.auth.signing_in import SignedIn, TokenPairs
    from taskflow_core.users import Credentials


@dataclass(frozen=True, slots=True)
class LogInAttempt:
    """What somebody claims to be.

    Attributes:
        request_id: Of the request that it came by, if any.
    """

    email: str
    password: str
    origin: Origin = field(default_factory=Origin)
    request_id: str | None = None

    def __repr__(self) -> str:
        """Return all but the password."""
        return f"LogInAttempt(email={self.email!r})"


@dataclass(frozen=True, slots=True)
class LogIn:
    """Open a session.

    Neither the answer nor the work done shows what is wrong, or whether the account exists.
    """

    users: UserReads
    attempts: LoginAttempts
    transactions: Transactions
    passwords: PasswordHasher
    tokens: TokenPairs
    clock: Clock
    ids: Ids

    async def __call__(self, command: LogInAttempt) -> SignedIn:
        """Return the account and the tokens of its new session.

        Raises:
            InvalidCredentials: They do not open an active account.
            TooManyAttempts: Too many failed before; the password was not looked at.
            Overloaded: Too many wait for a password hash.
        """
        email = _known_as(command.email)
        found = await self.users.credentials(email, command.origin)
        subject = _subject(email, found, command.origin)
        attempt = await self.attempts.begin(subject)
        if attempt.wait:
            raise TooManyAttempts(attempt.wait.total_seconds())
        given = normalized_password(command.password)
        try:
            matches = await self.passwords.verify(given, found.password_hash if found else None)
        except Overloaded:
            await self.attempts.give_back(subject)
            raise
        if found is None or not matches or not found.user.active:
            if found is not None and attempt.number in FAILURES_TOLD:
                await self._tell_of_failures(found.user.id, attempt, command.request_id)
            raise InvalidCredentials
        signed_in = await self._open(found, command, given)
        await self.attempts.succeeded(subject)
        return signed_in

    async def _open(self, found: Credentials, command: LogInAttempt, password: str) -> SignedIn:
        user = found.user
        rehashed = await self._rehashed(found, password)
        now = self.clock()
        seed = self.tokens.refresh.new_seed()
        session = Session.open(id=self.ids(now), user_id=user.id, seed=seed, origin=command.origin, now=now)
        async with self.transactions() as transaction:
            if rehashed is not None:
                loaded = await transaction.users.load(user.id)
                if loaded is not None and loaded.password_version == found.password_version:
                    loaded.password_hash = rehashed
                    transaction.users.save(loaded)
            transaction.sessions.open(session, password_version=found.password_version)
            if found.has_signed_in and not found.known_origin:
                detail = {"userAgent": command.origin.user_agent or ""}
                event = SecurityEvent(self.ids(now), EventType.NEW_DEVICE, now, user.id, detail)
                keep_event(transaction, event, self.ids, command.request_id)
            await transaction.commit()
        return self.tokens.of(session, user, now)

    async def _rehashed(self, found: Credentials, password: str) -> str | None:
        """Return a hash by the settings in force, where there is need of one and time for it."""
        if not self.passwords.is_outdated(found.password_hash):
            return None
        try:
            return await self.passwords.hash(password)
        except Overloaded:
            # Who proved to be the owner is not sent away for the sake of a better hash: next time.
            return None

    async def _tell_of_failures(self, user_id: UUID, attempt: Attempt, request_id: str | None) -> None:
        now = self.clock()
        detail = {"failures": str(attempt.number)}
        event = SecurityEvent(self.ids(now), EventType.LOGIN_FAILURES, now, user_id, detail)
        async with self.transactions() as transaction:
            keep_event(transaction, event, self.ids, request_id)
            await transaction.commit()


def _known_as(email: str) -> str:
    try:
        return check_email(email)
    except ValueError:
        # No account has it; the same work is done for it as for any other.
        return "\ufffd"


def _subject(email: str, found: Credentials | None, origin: Origin) -> str:
    """Name what tries are counted for: the account, and apart from it each network it is known to come from.

    So an attacker elsewhere can neither lift the delay nor keep the owner out.
    """
    known = found is not None and found.known_network
    return f"{email} {origin.network}" if known else email
