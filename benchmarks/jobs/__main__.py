"""What background jobs cost, how fast they are done, and what does not slow them down.

    python -m benchmarks.jobs
    python -m benchmarks.jobs --only 'speed|creating'

Each measurement starts what it needs: PostgreSQL and Valkey from wheels with the settings that TaskFlow
comes with, and `taskflow serve`, `worker` and `scheduler`. Notices go to the log. What is compared is
measured in turn. The exit code is 1 where a target is not met.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final

from benchmarks import machine
from benchmarks.jobs.at_once import batch_moves, create_then_change
from benchmarks.jobs.creating import creating
from benchmarks.jobs.falling_due import falling_due
from benchmarks.jobs.hints import junk
from benchmarks.jobs.outage import redis_hangs, redis_stopped
from benchmarks.jobs.speed import speed
from benchmarks.jobs.stage import Figure

MEASUREMENTS: Final[dict[str, Callable[[], Coroutine[Any, Any, list[Figure]]]]] = {
    "redis stopped": redis_stopped,
    "redis hangs": redis_hangs,
    "junk": junk,
    "speed": speed,
    "creating": creating,
    "falling due": falling_due,
    "create then change": create_then_change,
    "batch moves": batch_moves,
}


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs")
    parser.add_argument("--only", default="", help=f"whose name this finds: {', '.join(MEASUREMENTS)}")
    options = parser.parse_args()
    print(machine.describe(), flush=True)
    met = True
    for name, measure in MEASUREMENTS.items():
        if re.search(options.only, name):
            print(f"\n{name}: {measure.__doc__}", flush=True)
            for figure in asyncio.run(measure()):
                print(figure, flush=True)
                met = met and figure.met is not False
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
