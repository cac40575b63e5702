"""Drives a server with requests and tells how it bore them: by wrk, or in Python where there is no wrk."""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from benchmarks.workload import Endpoint, Target, requests, script, write_targets

_THREADS: Final = 2
_PATIENCE: Final = 30
"""Seconds until a request counts as failed."""


class Driven(NamedTuple):
    """How it went. Latencies in milliseconds."""

    requests: int
    seconds: float
    errors: int
    p50: float
    p99: float

    @property
    def per_second(self) -> float:
        """Answers that were no errors."""
        return (self.requests - self.errors) / self.seconds


class Driver:
    """Sends requests on `connections` connections at a time; the next of each when its answer is there."""

    def __init__(self, connections: int, directory: Path) -> None:
        self._connections = connections
        self._directory = directory
        self._wrk = shutil.which("wrk")

    @property
    def name(self) -> str:
        return "wrk" if self._wrk else "asyncio in Python (wrk is not installed)"

    def __call__(self, url: str, endpoint: Endpoint, targets: list[Target], seconds: float) -> Driven:
        """Send an endpoint's requests for some seconds."""
        connections = min(self._connections, endpoint.most_connections)
        # Numbers that no earlier run has used.
        first = time.time_ns() // 1000
        if self._wrk is None:
            return asyncio.run(_drive(url, requests(endpoint, targets, first), connections, seconds))
        listed, lua = self._directory / "targets", self._directory / "requests.lua"
        write_targets(listed, targets)
        threads = min(_THREADS, connections)
        lua.write_text(script(endpoint, listed, threads=threads, first=first), encoding="utf-8")
        options = [f"-t{threads}", f"-c{connections}", f"-d{round(seconds)}s", f"--timeout={_PATIENCE}s"]
        ran = subprocess.run(
            [self._wrk, *options, "-s", str(lua), url], capture_output=True, text=True, check=False
        )
        for line in ran.stdout.splitlines():
            if line.startswith("RESULT "):
                return Driven(**json.loads(line.removeprefix("RESULT ")))
        raise RuntimeError(f"wrk failed: {ran.stdout}{ran.stderr}")


async def _drive(url: str, source: Iterator[bytes], connections: int, seconds: float) -> Driven:
    parts = urlsplit(url)
    if parts.hostname is None or parts.port is None:
        raise ValueError(url)
    begin = time.perf_counter()
    workers = [_work(parts.hostname, parts.port, source, begin + seconds) for _ in range(connections)]
    latencies, errors = [], 0
    for times, failed in await asyncio.gather(*workers):
        latencies += times
        errors += failed
    taken = time.perf_counter() - begin
    percentiles = statistics.quantiles(latencies, n=100)
    return Driven(len(latencies), taken, errors, percentiles[49] * 1000, percentiles[98] * 1000)


async def _work(host: str, port: int, source: Iterator[bytes], until: float) -> tuple[list[float], int]:
    reader, writer = await asyncio.open_connection(host, port)
    times, errors = [], 0
    while time.perf_counter() < until:
        begin = time.perf_counter()
        writer.write(next(source))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
        errors += int(head[9:12]) >= 400
        _, _, rest = head.lower().partition(b"content-length: ")
        await reader.readexactly(int(rest.split(b"\r", 1)[0] or 0))
        times.append(time.perf_counter() - begin)
    writer.close()
    return times, errors
