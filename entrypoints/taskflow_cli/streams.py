"""Standard input, output and error where they are closed, full, or of another encoding than UTF-8."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Final

FAILED: Final = 1
"""The exit code where the input could not be read or the output not be written."""

_IN_PLACE_OF_CLOSED: Final = (os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)
"""How the null device is opened in place of standard input, output and error.

Input and output get it the wrong way round, so that using them is an error instead of an empty
password or a result that is lost. Nothing can be said on a closed standard error anyway.
"""


def prepare() -> None:
    """Open what is closed, and open standard output such that nothing of it is lost silently.

    A descriptor that is left closed would be given to the next connection or file, and what is
    printed would go there. Under PYTHONUNBUFFERED Python ignores that a write was a short one, as it is
    where the disk is full or the reader goes away.
    """
    for descriptor, flags in enumerate(_IN_PLACE_OF_CLOSED):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free descriptor is given out first, so it is this one.
            os.set_inheritable(os.open(os.devnull, flags), True)
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)
    encoding = sys.stdout.encoding if sys.stdout else "utf-8"
    sys.stdout = os.fdopen(1, "w", encoding=encoding, errors="replace", closefd=False)


def failed(error: OSError) -> int:
    """Say that a standard stream failed, and return the exit code.

    What the streams still hold is dropped: Python would try to write it once more at the end.
    """
    with suppress(OSError):
        os.write(2, f"Error: Standard input or output failed: {error.strerror}.\n".encode())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return FAILED
