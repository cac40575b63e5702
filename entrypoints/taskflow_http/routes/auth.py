"""Signing in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskflow_core import (
    EmailTaken,
    InvalidCredentials,
    LogInAttempt,
    Overloaded,
    Registration,
    SignedIn,
)
from taskflow_http import schemas
from taskflow_http.bodies import Body
from taskflow_http.operations import Operation, Services
from taskflow_http.replies import NO_STORE, Headers, Reply, json_reply

if TYPE_CHECKING:
    from taskflow_http.calls import Call


async def register(call: Call, services: Services) -> Reply:
    """Open an account; it is signed in at once."""
    body: schemas.Registration = call.body
    command = Registration(email=body.email, name=body.name, password=body.password)
    signed_in = await services.use_cases.register(command)
    location = call.link(f"/users/{signed_in.user.id}")
    return _token_reply(signed_in, status=201, headers=[(b"location", location)])


async def log_in(call: Call, services: Services) -> Reply:
    """Give a token for an email and a password."""
    body: schemas.Login = call.body
    return _token_reply(await services.use_cases.log_in(LogInAttempt(body.email, body.password)))


def _token_reply(signed_in: SignedIn, *, status: int = 200, headers: Headers | None = None) -> Reply:
    token = signed_in.access_token
    user = schemas.User.of(signed_in.user)
    answer = schemas.SignedIn(token.value, "Bearer", token.expires_in, user)
    return json_reply(answer, status=status, cache=NO_STORE, headers=headers)


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/auth/register",
        name="register",
        tag="auth",
        summary="Open an account",
        description="The account has the role `user`, and is signed in at once.",
        handler=register,
        secured=False,
        body=Body(
            schemas.Registration,
            example={
                "email": "ada@example.com",
                "name": "Ada Lovelace",
                "password": "correct horse battery staple",
            },
        ),
        status=201,
        answer=schemas.SignedIn,
        headers=("Location",),
        errors=(EmailTaken, Overloaded),
    ),
    Operation(
        method="POST",
        path="/auth/login",
        name="logIn",
        tag="auth",
        summary="Sign in",
        description="Whether it was the email or the password that is wrong is not told.",
        handler=log_in,
        secured=False,
        body=Body(
            schemas.Login,
            example={"email": "ada@example.com", "password": "correct horse battery staple"},
        ),
        answer=schemas.SignedIn,
        errors=(InvalidCredentials, Overloaded),
    ),
)
