"""The others: a process of its own that asks at a steady rate and notes how long each answer takes.

    python -m benchmarks.hostile.neighbour URL < TOKENS

It reads one token a line, asks until its standard input is closed, and prints its samples as JSON. It is a
process of its own so that the work of an attack does not delay its clock.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

_EVERY: Final = 0.1
"""Seconds between two requests of a kind."""
_TIMEOUT: Final = 30.0


class Samples(NamedTuple):
    """Latencies in milliseconds, and answers that were not 200 by status or error."""

    latencies: list[float]
    failures: Counter[str]

    @property
    def worst(self) -> float:
        return max(self.latencies, default=0.0)

    @property
    def p99(self) -> float:
        if len(self.latencies) < 2:
            return self.worst
        return statistics.quantiles(self.latencies, n=100, method="inclusive")[98]


@contextmanager
def asking(url: str, tokens: Sequence[str]) -> Iterator[dict[str, Samples]]:
    """Ask as others while the block runs; its samples are there afterwards, by the kind of request."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.hostile.neighbour", url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write("".join(f"{token}\n" for token in tokens) + "\n")
    process.stdin.flush()
    samples: dict[str, Samples] = {}
    try:
        yield samples
    finally:
        printed, _ = process.communicate(timeout=_TIMEOUT * 2)
    for kind, (latencies, failures) in json.loads(printed).items():
        samples[kind] = Samples(latencies, Counter(failures))


async def _ask(url: str, tokens: Sequence[str], stop: threading.Event) -> dict[str, Any]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 0
    turns = cycle(tokens)
    paths = {"live": "/health/live", "list": "/tasks?limit=10"}
    results: dict[str, tuple[list[float], Counter[str]]] = {kind: ([], Counter()) for kind in paths}

    async def one(kind: str, due: float) -> None:
        bearer = f"Authorization: Bearer {next(turns)}\r\n" if kind == "list" else ""
        request = f"GET {paths[kind]} HTTP/1.1\r\nHost: taskflow\r\nConnection: close\r\n{bearer}\r\n"
        latencies, failures = results[kind]
        try:
            async with asyncio.timeout(_TIMEOUT):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(request.encode())
                answer = await reader.read()
                writer.close()
            if (status := answer[9:12].decode()) != "200":
                failures[status or "no answer"] += 1
        except (OSError, TimeoutError) as error:
            failures[type(error).__name__] += 1
        latencies.append((time.perf_counter() - due) * 1000)

    due = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        while not stop.is_set():
            for kind in paths:
                group.create_task(one(kind, time.perf_counter()))
            due += _EVERY
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
    return results


def main() -> None:
    tokens: list[str] = []
    while line := sys.stdin.readline().strip():
        tokens.append(line)
    stop = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    print(json.dumps(asyncio.run(_ask(sys.argv[1], tokens, stop))))


if __name__ == "__main__":
    main()
