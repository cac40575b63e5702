"""Accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskflow_core import (
    EmailTaken,
    Forbidden,
    LastAdmin,
    NewUser,
    NotFound,
    Overloaded,
    Permission,
    Role,
    Unauthenticated,
    UserChange,
    UserChanges,
    UserDeletion,
    UserQuery,
    UserSort,
    UserView,
    VersionMismatch,
)
from taskflow_core.queries import LIMIT_DEFAULT
from taskflow_http import account_schemas, parameters
from taskflow_http.bodies import JSON_TYPE, MERGE_PATCH_TYPE, Body
from taskflow_http.errors import InvalidCursor
from taskflow_http.idempotency import done_once
from taskflow_http.operations import Operation, Services
from taskflow_http.preconditions import expected_version
from taskflow_http.replies import Reply
from taskflow_http.routes.answers import created, given, own_id, page, versioned

if TYPE_CHECKING:
    from uuid import UUID

    from taskflow_http.calls import Call


async def find_me(call: Call, services: Services) -> Reply:
    """Read one's own account."""
    try:
        return await _find(own_id(call), call, services)
    except NotFound:
        # The account is gone, so its token says nothing true any more.
        raise Unauthenticated from None


async def change_me(call: Call, services: Services) -> Reply:
    """Change one's own profile."""
    try:
        return await _change(own_id(call), call, services)
    except NotFound:
        raise Unauthenticated from None


async def find_user(call: Call, services: Services) -> Reply:
    """Read an account."""
    return await _find(call.id, call, services)


async def change_user(call: Call, services: Services) -> Reply:
    """Change an account."""
    return await _change(call.id, call, services)


async def list_users(call: Call, services: Services) -> Reply:
    """List accounts, a page at a time."""
    values = dict(call.query.values)
    sort, descending = values.pop("sort", (UserSort.CREATED_AT, True))
    limit = values.pop("limit", LIMIT_DEFAULT)
    cursor = values.pop("cursor", None)
    told = ("users", sort, descending, *(values.get(name) for name in ("search", "role", "active")))
    after = None if cursor is None else services.cursors.open(cursor, told)
    query = UserQuery(sort=sort, descending=descending, limit=limit, after=after, **values)
    listed = await services.use_cases.list_users(query, call.actor)
    following = None if listed.next is None else services.cursors.seal(listed.next, told)
    users = [account_schemas.User.of(view) for view in listed.items]
    return page(account_schemas.UserPage(users, following), call)


async def create_user(call: Call, services: Services) -> Reply:
    """Make an account for somebody."""
    body: account_schemas.NewUser = call.body

    def reply(view: UserView) -> Reply:
        return created(account_schemas.User.of(view), call.link(f"/users/{view.id}"))

    return await done_once(call, services.use_cases.create_user, NewUser(**given(body)), reply)


async def delete_user(call: Call, services: Services) -> Reply:
    """Close an account for good."""
    await services.use_cases.delete_user(UserDeletion(call.id, expected_version(call)), call.actor)
    return Reply(204)


async def _find(user_id: UUID, call: Call, services: Services) -> Reply:
    return versioned(account_schemas.User.of(await services.use_cases.find_user(user_id, call.actor)))


async def _change(user_id: UUID, call: Call, services: Services) -> Reply:
    command = UserChange(user_id, UserChanges(**given(call.body)), expected_version(call))
    return versioned(account_schemas.User.of(await services.use_cases.change_user(command, call.actor)))


_PATCH_TYPES: Final = (MERGE_PATCH_TYPE, JSON_TYPE)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/users/me",
        name="findMe",
        tag="users",
        summary="Get the caller's account",
        description="The account of the token.",
        handler=find_me,
        versioned=True,
        answer=account_schemas.User,
        headers=("ETag",),
    ),
    Operation(
        method="PATCH",
        path="/users/me",
        name="changeMe",
        tag="users",
        summary="Change the caller's profile",
        description=(
            "`notifications` turns notices about tasks on and off; notices about the security of the account "
            "are always sent."
        ),
        handler=change_me,
        body=Body(account_schemas.ProfilePatch, example={"name": "Ada King"}, media_types=_PATCH_TYPES),
        versioned=True,
        answer=account_schemas.User,
        headers=("ETag",),
        errors=(VersionMismatch,),
    ),
    Operation(
        method="GET",
        path="/users/{id}",
        name="findUser",
        tag="users",
        summary="Get an account",
        description="The caller's own; any account with the role `manager` or `admin`.",
        handler=find_user,
        versioned=True,
        answer=account_schemas.User,
        headers=("ETag",),
        errors=(NotFound,),
    ),
    Operation(
        method="PATCH",
        path="/users/{id}",
        name="changeUser",
        tag="users",
        summary="Change an account",
        description=(
            "A user may change the `name` and `notifications` of the own account. Everything else needs the "
            "role `admin`."
        ),
        handler=change_user,
        body=Body(account_schemas.UserPatch, example={"role": "manager"}, media_types=_PATCH_TYPES),
        versioned=True,
        answer=account_schemas.User,
        headers=("ETag",),
        errors=(Forbidden, NotFound, EmailTaken, LastAdmin, VersionMismatch),
    ),
    Operation(
        method="DELETE",
        path="/users/{id}",
        name="deleteUser",
        tag="users",
        summary="Delete an account and its tasks",
        description="It disappears at once, and its email can be used again. Needs the role `admin`.",
        handler=delete_user,
        versioned=True,
        status=204,
        errors=(Forbidden, NotFound, LastAdmin, VersionMismatch),
    ),
    Operation(
        method="GET",
        path="/users",
        name="listUsers",
        tag="users",
        summary="List accounts",
        description="Needs the role `manager` or `admin`.",
        handler=list_users,
        permission=Permission.SEE_USERS,
        parameters=parameters.named(
            (
                parameters.SEARCH,
                parameters.enumeration("role", Role, "Only accounts with this role."),
                parameters.flag("active", "`true`: only active accounts; `false`: only the others."),
                parameters.sort({"createdAt": UserSort.CREATED_AT, "email": UserSort.EMAIL}, "-createdAt"),
                parameters.LIMIT,
                parameters.CURSOR,
            )
        ),
        answer=account_schemas.UserPage,
        headers=("Link",),
        errors=(Forbidden, InvalidCursor),
    ),
    Operation(
        method="POST",
        path="/users",
        name="createUser",
        tag="users",
        summary="Create an account for somebody",
        description="Needs the role `admin`.",
        handler=create_user,
        permission=Permission.MANAGE_USERS,
        idempotent_by_key=True,
        body=Body(
            account_schemas.NewUser,
            example={
                "email": "grace@example.com",
                "name": "Grace Hopper",
                "password": "correct horse battery staple",
                "role": "manager",
            },
        ),
        status=201,
        answer=account_schemas.User,
        headers=("Location", "ETag"),
        errors=(Forbidden, EmailTaken, Overloaded),
    ),
)
