"""Whether the process lives, and whether it can do its work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal

import structlog

from taskflow_core import Unavailable
from taskflow_http import schemas
from taskflow_http.operations import Operation, Services
from taskflow_http.problems import problem
from taskflow_http.replies import NO_STORE, PROBLEM_JSON, Reply, encode, json_reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from taskflow_http.calls import Call

log: Final = structlog.get_logger("taskflow_http")

State = Literal["up", "down"]

_RETRY_AFTER: Final = b"5"


async def live(_: Call, __: Services) -> Reply:
    """Tell that the process answers."""
    return json_reply(schemas.Liveness("ok"), cache=NO_STORE)


async def ready(call: Call, services: Services) -> Reply:
    """Tell which dependencies can be reached."""
    seconds = services.options.check_timeout
    states = await asyncio.gather(*(_state(name, check, seconds) for name, check in services.checks.items()))
    checks = dict(zip(services.checks, states, strict=True))
    down = {name for name, state in checks.items() if state == "down"}
    if down <= services.options.dispensable:
        # Everything is still served: no balancer is to turn away for this.
        return json_reply(schemas.Readiness("degraded" if down else "ok", checks), cache=NO_STORE)
    document = problem(Unavailable("Not everything that this needs can be reached."))
    document.request_id, document.checks = call.request_id, checks
    return Reply(503, encode(document), PROBLEM_JSON, NO_STORE, [(b"retry-after", _RETRY_AFTER)])


async def _state(name: str, check: Callable[[], Awaitable[None]], seconds: float) -> State:
    try:
        async with asyncio.timeout(seconds):
            await check()
    except Exception as error:  # noqa: BLE001 - whatever it is, the dependency is not usable
        log.warning("dependency is down", dependency=name, error=type(error).__name__)
        return "down"
    return "up"


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/health/live",
        name="live",
        tag="health",
        summary="Check that the process responds",
        description="Always 200 while the process can respond; checks no dependency.",
        handler=live,
        ignores_query=True,
        secured=False,
        answer=schemas.Liveness,
    ),
    Operation(
        method="GET",
        path="/health/ready",
        name="ready",
        tag="health",
        summary="Check that this instance can serve requests",
        description=(
            "503 if a required dependency is down; `checks` says which. `degraded` if only an optional one "
            "is: everything is still served."
        ),
        handler=ready,
        ignores_query=True,
        secured=False,
        answer=schemas.Readiness,
        errors=(Unavailable,),
    ),
)
