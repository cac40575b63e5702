"""What handlers of several families do alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from taskflow_core import Unauthenticated
from taskflow_http.preconditions import etag, is_known
from taskflow_http.replies import Headers, Reply, json_reply

if TYPE_CHECKING:
    from uuid import UUID

    from taskflow_http.account_schemas import SecurityEventPage, User, UserPage
    from taskflow_http.calls import Call
    from taskflow_http.job_schemas import JobPage
    from taskflow_http.schemas import HistoryPage, NewTask, Task, TaskPage, TaskPatch


def own_id(call: Call) -> UUID:
    """Return the caller's id."""
    if call.actor.id is None:
        raise Unauthenticated
    return call.actor.id


def own_session(call: Call) -> UUID:
    """Return the session that asks."""
    if call.actor.session_id is None:
        raise Unauthenticated
    return call.actor.session_id


def queried_owner(call: Call) -> UUID | None:
    """Return whose the query asks for; without `userId`, the caller's own, None for everyone's."""
    values = call.query.values
    owner: UUID | None = values["owner"] if "owner" in values else own_id(call)
    return owner


def given(body: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of a body that were given, by the core's names."""
    named = ((name, getattr(body, name)) for name in body.__struct_fields__)
    return {name: value for name, value in named if value is not msgspec.UNSET}


def cost_of_texts(body: NewTask | TaskPatch) -> int:
    """Return what writing a task counts for: 1, and 1 more for every 16 KiB of its description."""
    written = body.description.encode("utf-8", "surrogatepass") if isinstance(body.description, str) else b""
    return 1 + len(written) // (16 * 1024)


def found(value: Task | User, call: Call) -> Reply:
    """Return what was asked for, or 304 where the client has this version already."""
    headers = [etag(value.version)]
    return (
        Reply(304, headers=headers) if is_known(call, value.version) else json_reply(value, headers=headers)
    )


def changed(value: Task | User) -> Reply:
    """Return what it has become."""
    return json_reply(value, headers=[etag(value.version)])


def created(value: Task | User, location: bytes) -> Reply:
    """Return what was made, and where it is."""
    return json_reply(value, status=201, headers=[(b"location", location), etag(value.version)])


def page(value: TaskPage | UserPage | HistoryPage | SecurityEventPage | JobPage, call: Call) -> Reply:
    """Return a page, with a link to the next (RFC 8288)."""
    headers: Headers = []
    if value.next_cursor is not None:
        headers.append((b"link", b"<" + call.query.next_page(value.next_cursor) + b'>; rel="next"'))
    return json_reply(value, headers=headers)
