"""One's sessions, and what happened to accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskflow_core import EventQuery, EventType, Forbidden, NotFound
from taskflow_core.queries import LIMIT_DEFAULT
from taskflow_http import account_schemas, parameters
from taskflow_http.errors import InvalidCursor
from taskflow_http.operations import Operation, Services
from taskflow_http.replies import Reply, json_reply
from taskflow_http.routes.answers import own_id, page, queried_owner

if TYPE_CHECKING:
    from taskflow_http.calls import Call


async def list_sessions(call: Call, services: Services) -> Reply:
    """List one's own sessions."""
    views = await services.use_cases.list_sessions(own_id(call), call.actor)
    current = call.actor.session_id
    return json_reply(account_schemas.SessionList([account_schemas.Session.of(v, current) for v in views]))


async def end_session(call: Call, services: Services) -> Reply:
    """End a session."""
    await services.use_cases.end_session(call.id, call.actor)
    return Reply(204)


async def end_sessions(call: Call, services: Services) -> Reply:
    """End all one's own sessions."""
    await services.use_cases.end_sessions(own_id(call), call.actor)
    return Reply(204)


async def read_events(call: Call, services: Services) -> Reply:
    """List what happened to accounts, a page at a time."""
    values = call.query.values
    owner, kind, cursor = queried_owner(call), values.get("type"), values.get("cursor")
    told = ("events", owner, kind)
    after = None if cursor is None else services.cursors.open(cursor, told)
    limit = values.get("limit", LIMIT_DEFAULT)
    query = EventQuery(owner=owner, type=kind, limit=limit, after=after)
    listed = await services.use_cases.read_events(query, call.actor)
    following = None if listed.next is None else services.cursors.seal(listed.next, told)
    events = [account_schemas.SecurityEvent.of(view) for view in listed.items]
    return page(account_schemas.SecurityEventPage(events, following), call)


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/auth/sessions",
        name="listSessions",
        tag="auth",
        summary="List the caller's sessions",
        description="Sessions that have not ended, last used first.",
        handler=list_sessions,
        answer=account_schemas.SessionList,
    ),
    Operation(
        method="DELETE",
        path="/auth/sessions",
        name="endSessions",
        tag="auth",
        summary="End all sessions of the caller",
        description="Including the session of this request.",
        handler=end_sessions,
        status=204,
    ),
    Operation(
        method="DELETE",
        path="/auth/sessions/{id}",
        name="endSession",
        tag="auth",
        summary="End a session",
        description="A session of the caller, or for admins anyone's. Its tokens are refused at once.",
        handler=end_session,
        status=204,
        errors=(NotFound,),
    ),
    Operation(
        method="GET",
        path="/auth/events",
        name="readEvents",
        tag="auth",
        summary="List security events",
        description="Events of the caller's account, newest first; of any account with the role `admin`.",
        handler=read_events,
        parameters=parameters.named(
            (
                parameters.OWNER,
                parameters.enumeration("type", EventType, "Only events of this type."),
                parameters.LIMIT,
                parameters.CURSOR,
            )
        ),
        answer=account_schemas.SecurityEventPage,
        headers=("Link",),
        errors=(Forbidden, InvalidCursor),
    ),
)
