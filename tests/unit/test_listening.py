"""The socket of the API, whose buffers its connections get."""

import socket
import sys

import pytest

from taskflow_bootstrap.listening import RECEIVE_BUFFER, SEND_BUFFER, bind


def test_little_is_kept_for_a_client_that_does_not_read() -> None:
    with bind("127.0.0.1", 0) as listening, socket.socket() as client:
        listening.listen()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listening.getsockname())
        connection, _ = listening.accept()
        with connection:
            connection.setblocking(False)
            kept = 0
            try:
                while kept < 64 * SEND_BUFFER:
                    kept += connection.send(b"x" * SEND_BUFFER)
            except BlockingIOError:
                pass
    assert kept <= 4 * SEND_BUFFER


@pytest.mark.skipif(sys.platform != "linux", reason="Other systems count the buffer in another way.")
def test_connections_get_a_small_receive_buffer() -> None:
    with bind("127.0.0.1", 0) as listening:
        listening.listen()
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
            size = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert size <= 2 * RECEIVE_BUFFER
