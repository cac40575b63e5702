"""The socket of the API."""

from __future__ import annotations

import socket
import sys

import pytest

from taskflow_bootstrap.listening import RECEIVE_BUFFER, bind


@pytest.mark.skipif(sys.platform != "linux", reason="Other systems count the buffer in another way.")
def test_connections_get_a_small_receive_buffer() -> None:
    with bind("127.0.0.1", 0) as bound:
        bound.listen()
        with socket.create_connection(bound.getsockname()), bound.accept()[0] as accepted:
            size = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert size <= 2 * RECEIVE_BUFFER
