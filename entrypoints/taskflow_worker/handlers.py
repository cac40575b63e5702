"""What RQ may call, by name: one function, which hands a hint to the worker of its process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID

Take: TypeAlias = Callable[[UUID], None]
"""Takes a hint; returns once somebody looks after it, or nobody does any more."""


@dataclass(slots=True)
class _Holder:
    take: Take | None = None


_worker: Final = _Holder()


@contextmanager
def handing_to(take: Take) -> Iterator[None]:
    """Hand to this worker, in this process, what RQ calls `run` with.

    Raises:
        RuntimeError: There is one already.
    """
    if _worker.take is not None:
        raise RuntimeError("There is a worker in this process already.")
    _worker.take = take
    try:
        yield
    finally:
        _worker.take = None


def run(job_id: str) -> None:
    """Hand over a hint at a ledger entry.

    Raises:
        ValueError: It is no id.
        RuntimeError: No worker runs in this process: RQ's own cannot do these jobs.
    """
    hinted = UUID(job_id)
    if _worker.take is None:
        raise RuntimeError("Jobs are done by `taskflow worker`.")
    _worker.take(hinted)
