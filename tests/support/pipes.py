"""Pipes that somebody holds open and does not read: a log shipper that hangs, `| less`, Ctrl-S."""

import os
from contextlib import suppress


def fill(writable: int) -> int:
    """Fill a pipe to the last byte, with zeros; return how many."""
    # Opened anew: that it does not block is said of this opening alone.
    own, size = os.open(f"/proc/self/fd/{writable}", os.O_WRONLY | os.O_NONBLOCK), 0
    try:
        for piece in (4096, 1):
            with suppress(BlockingIOError):
                while True:
                    size += os.write(own, bytes(piece))
    finally:
        os.close(own)
    return size
