"""What a client knows of its own tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from taskflow_core import Status

NEXT: Final = {
    Status.PENDING: (Status.IN_PROGRESS, Status.COMPLETED, Status.CANCELLED),
    Status.IN_PROGRESS: (Status.PENDING, Status.COMPLETED, Status.COMPLETED),
    Status.COMPLETED: (Status.PENDING, Status.IN_PROGRESS),
    Status.CANCELLED: (Status.PENDING,),
}


@dataclass(slots=True)
class Known:
    """What a client knows of a task of its own; not sure once a request was left without an answer."""

    id: UUID
    owner: UUID
    status: Status
    version: int = 1
    deleted: bool = False
    sure: bool = True
