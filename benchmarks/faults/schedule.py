"""What is killed when: the same for the same seed."""

from __future__ import annotations

import random
from enum import StrEnum
from typing import Final, NamedTuple

SPACING: Final = (2.0, 4.0)
"""Seconds from one kill to the next."""
PAUSE: Final = (0.3, 1.0)
"""Seconds until what was killed is started again; a worker's child is, by its supervisor."""


class Target(StrEnum):
    """What is killed."""

    API_0 = "api 0"
    API_1 = "api 1"
    WORKER_0 = "worker 0"
    WORKER_1 = "worker 1"
    SCHEDULER_0 = "scheduler 0"
    SCHEDULER_1 = "scheduler 1"
    POSTMASTER = "postmaster"
    VALKEY_AOF = "valkey with AOF"
    VALKEY_PLAIN = "valkey without AOF"
    FLUSHALL = "flushall"


class Kill(NamedTuple):
    """One of them.

    Attributes:
        after: Seconds since the one before.
        pause: Seconds until it is started again.
        child: Of a worker, whether the process that works is killed and not the one that watches it.
    """

    number: int
    target: Target
    after: float
    pause: float
    child: bool

    def __str__(self) -> str:
        return f"{self.target} (child)" if self.child else str(self.target)


def schedule(kills: int, seed: int) -> list[Kill]:
    """Return so many kills, evenly over all targets."""
    draw = random.Random(seed)
    targets: list[Target] = []
    while len(targets) < kills:
        targets += draw.sample(list(Target), min(len(Target), kills - len(targets)))
    return [
        Kill(number, target, draw.uniform(*SPACING), draw.uniform(*PAUSE), _is_child(target, draw))
        for number, target in enumerate(targets, 1)
    ]


def _is_child(target: Target, draw: random.Random) -> bool:
    return target in (Target.WORKER_0, Target.WORKER_1) and draw.random() < 0.5
