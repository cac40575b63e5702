"""Signing in, staying so, and signing out."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from taskflow_core import (
    EmailTaken,
    InvalidCredentials,
    LogInAttempt,
    NotFound,
    Overloaded,
    PasswordChange,
    RateLimited,
    RefreshReused,
    Registration,
    SignedIn,
    TooManyAttempts,
    Unauthenticated,
)
from taskflow_http import account_schemas
from taskflow_http.bodies import Body
from taskflow_http.operations import Operation, Services
from taskflow_http.replies import NO_STORE, Headers, Reply, json_reply
from taskflow_http.routes.answers import own_session

if TYPE_CHECKING:
    from taskflow_http.calls import Call


async def register(call: Call, services: Services) -> Reply:
    """Open an account; it is signed in at once."""
    body: account_schemas.Registration = call.body
    command = Registration(
        email=body.email,
        name=body.name,
        password=body.password,
        origin=services.addresses.origin_of(call),
    )
    signed_in = await services.use_cases.register(command)
    location = call.link(f"/users/{signed_in.user.id}")
    return _token_reply(signed_in, status=201, headers=[(b"location", location)])


async def log_in(call: Call, services: Services) -> Reply:
    """Give tokens for an email and a password."""
    body: account_schemas.Login = call.body
    origin = services.addresses.origin_of(call)
    attempt = LogInAttempt(body.email, body.password, origin, call.request_id)
    return _token_reply(await services.use_cases.log_in(attempt))


async def refresh(call: Call, services: Services) -> Reply:
    """Give new tokens for a refresh token."""
    body: account_schemas.Refresh = call.body
    return _token_reply(await services.use_cases.refresh(body.refresh_token, call.request_id))


async def log_out(call: Call, services: Services) -> Reply:
    """End the session that asks."""
    # Not found: somebody was quicker, and it has ended, as was asked for.
    with suppress(NotFound):
        await services.use_cases.end_session(own_session(call), call.actor)
    return Reply(204, cache=NO_STORE)


async def change_password(call: Call, services: Services) -> Reply:
    """Change one's own password."""
    body: account_schemas.PasswordChange = call.body
    command = PasswordChange(body.current_password, body.new_password)
    await services.use_cases.change_password(command, call.actor)
    return Reply(204, cache=NO_STORE)


def _token_reply(signed_in: SignedIn, *, status: int = 200, headers: Headers | None = None) -> Reply:
    token = signed_in.access_token
    answer = account_schemas.SignedIn(
        access_token=token.value,
        refresh_token=signed_in.refresh_token,
        token_type="Bearer",  # noqa: S106 - its type
        expires_in=token.expires_in,
        user=account_schemas.User.of(signed_in.user),
    )
    return json_reply(answer, status=status, cache=NO_STORE, headers=headers)


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/auth/register",
        name="register",
        tag="auth",
        summary="Register an account",
        description="Creates an account with the role `user` and signs it in.",
        handler=register,
        secured=False,
        limit="register",
        body=Body(
            account_schemas.Registration,
            example={
                "email": "ada@example.com",
                "name": "Ada Lovelace",
                "password": "correct horse battery staple",
            },
        ),
        status=201,
        answer=account_schemas.SignedIn,
        headers=("Location",),
        errors=(EmailTaken, RateLimited, Overloaded),
    ),
    Operation(
        method="POST",
        path="/auth/login",
        name="logIn",
        tag="auth",
        summary="Sign in",
        description=(
            "The response does not say whether the email or the password is wrong. After five failures in a "
            "row each further try for the account must wait, longer each time."
        ),
        handler=log_in,
        secured=False,
        limit="login",
        body=Body(
            account_schemas.Login,
            example={"email": "ada@example.com", "password": "correct horse battery staple"},
        ),
        answer=account_schemas.SignedIn,
        errors=(InvalidCredentials, RateLimited, TooManyAttempts, Overloaded),
    ),
    Operation(
        method="POST",
        path="/auth/refresh",
        name="refresh",
        tag="auth",
        summary="Get new tokens for a refresh token",
        description=(
            "A refresh token is valid once. For a grace period (30 seconds by default) after it was replaced "
            "it returns the current token again, in case the response was lost. Later it ends the session, "
            "since it must have been copied."
        ),
        handler=refresh,
        secured=False,
        limit="refresh",
        body=Body(
            account_schemas.Refresh,
            example={
                "refresh_token": (
                    "01890a5dac96774bbcceb302099a8057.1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                )
            },
        ),
        answer=account_schemas.SignedIn,
        errors=(Unauthenticated, RefreshReused, RateLimited),
    ),
    Operation(
        method="POST",
        path="/auth/logout",
        name="logOut",
        tag="auth",
        summary="Sign out",
        description="Ends the session of this request. Its tokens are refused at once.",
        handler=log_out,
        status=204,
    ),
    Operation(
        method="POST",
        path="/auth/password",
        name="changePassword",
        tag="auth",
        summary="Change the caller's password",
        description="Ends all other sessions. After five wrong tries in a row the next must wait.",
        handler=change_password,
        limit="password",
        body=Body(
            account_schemas.PasswordChange,
            example={
                "currentPassword": "correct horse battery staple",
                "newPassword": "another horse, another battery",
            },
        ),
        status=204,
        errors=(InvalidCredentials, TooManyAttempts, Overloaded),
    ),
)
