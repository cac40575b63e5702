"""What the limit of open files does to the server."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pytest
import structlog

from taskflow_bootstrap.descriptors import Descriptors, connections_allowed


@pytest.fixture
def none_left() -> Iterator[list[int]]:
    """Leave no descriptor; give those that were taken."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open(os.devnull, os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 1, limits[1]))
    try:
        yield taken
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in taken:
            os.close(descriptor)


def test_their_end_is_logged_once_and_so_is_that_it_is_over(none_left: list[int]) -> None:
    descriptors = Descriptors()
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            descriptors.check()
        assert [line["event"] for line in lines] == ["too many open files: new connections are closed"]
        os.close(none_left.pop())
        for _ in range(3):
            descriptors.check()

    assert [line["event"] for line in lines[1:]] == ["files can be opened again"]


@pytest.mark.parametrize(
    ("limit", "allowed"), [(1024, 950), (20_000, 1000), (64, 10), (resource.RLIM_INFINITY, 1000)]
)
def test_connections_leave_room_for_other_files(
    monkeypatch: pytest.MonkeyPatch, limit: int, allowed: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))

    assert connections_allowed(1000, 10) == allowed
