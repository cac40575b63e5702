"""What the kernel keeps for clients of the API that do not read."""

import socket

from taskflow_bootstrap.listening import BUFFER_BYTES, bind


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
                while kept < 64 * BUFFER_BYTES:
                    kept += connection.send(b"x" * BUFFER_BYTES)
            except BlockingIOError:
                pass
    assert kept <= 4 * BUFFER_BYTES
