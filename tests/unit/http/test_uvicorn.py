"""What the server's protocol takes from uvicorn, most of which is not uvicorn's public interface."""

from __future__ import annotations

import asyncio
import inspect
import re
from unittest.mock import Mock

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from support.http_world import ADDRESSES
from taskflow_http import HttpOptions, protocol, protocol_class

OVERRIDDEN = (
    "connection_made", "connection_lost", "eof_received", "shutdown", "timeout_keep_alive_handler",
    "data_received", "on_message_begin", "on_headers_complete", "on_body", "on_message_complete",
    "_start_asgi_task", "on_response_complete", "pause_writing", "resume_writing",
)  # fmt: skip
CYCLE = (
    "body", "disconnected", "expected_content_length", "keep_alive", "message_event", "response_complete",
    "response_started",
)  # fmt: skip
ADVICE = "taskflow_http/protocol.py relies on it: read uvicorn's changes before you raise its version"


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_uvicorn_calls_what_is_overridden(name: str) -> None:
    assert name in vars(HttpToolsProtocol), f"uvicorn's HttpToolsProtocol has no {name}; {ADVICE}"
    assert name in vars(protocol.PatientProtocol)


@pytest.mark.parametrize("name", ["pause_reading", "resume_reading", "pause_writing", "resume_writing"])
def test_uvicorn_controls_the_flow_by(name: str) -> None:
    assert name in vars(FlowControl), f"uvicorn's FlowControl has no {name}; {ADVICE}"


async def test_uvicorn_has_what_is_read_of_it() -> None:
    """Every attribute of `self` that the protocol does not have by itself."""
    config = uvicorn.Config(Mock(), log_config=None, ws="none")
    made = protocol_class(HttpOptions(), ADDRESSES)(config=config, server_state=ServerState(), app_state={})
    made.on_message_begin()
    source = inspect.getsource(protocol.PatientProtocol)

    missing = {name for name in re.findall(r"\bself\.(\w+)", source) if not hasattr(made, name)}

    assert missing == set(), f"uvicorn's HttpToolsProtocol lacks {missing}; {ADVICE}"


async def test_a_request_of_uvicorns_has_what_is_read_of_it() -> None:
    cycle = RequestResponseCycle(
        scope=Mock(), transport=Mock(), flow=Mock(), logger=Mock(), access_logger=Mock(), access_log=False,
        default_headers=[], message_event=asyncio.Event(), expect_100_continue=False, keep_alive=True,
        on_response=Mock(),
    )  # fmt: skip
    source = inspect.getsource(protocol)
    read = set(re.findall(r"\bcycle\.(\w+)|_running\.(\w+)", source))

    assert {one or other for one, other in read} == set(CYCLE)
    missing = {name for name in CYCLE if not hasattr(cycle, name)}
    assert missing == set(), f"uvicorn's RequestResponseCycle lacks {missing}; {ADVICE}"
