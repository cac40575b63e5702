"""Sockets, processes and retries, as `taskflow serve` puts them together."""

import socket
from dataclasses import dataclass, field

import pytest

from support.samples import World
from taskflow_bootstrap.errors import InUse, StartError
from taskflow_bootstrap.listening import address_of, bind, reserve, url_of
from taskflow_bootstrap.retried import ATTEMPTS, WRITES, Retried, retried
from taskflow_core import Contention, NotFound, UseCases


def test_a_free_port_is_found() -> None:
    with bind("127.0.0.1", 0) as bound:
        host, port = address_of(bound)
        assert (host, url_of(bound)) == ("127.0.0.1", f"http://127.0.0.1:{port}")


def test_the_url_is_one_that_this_machine_can_open() -> None:
    with bind("0.0.0.0", 0) as bound:
        assert url_of(bound).startswith("http://127.0.0.1:")


def test_a_taken_port_is_told() -> None:
    with bind("127.0.0.1", 0) as bound:
        bound.listen()
        port = address_of(bound)[1]
        for binding in (bind, reserve):
            with pytest.raises(InUse, match="--port"):
                binding("127.0.0.1", port)


def test_a_reserved_port_is_for_those_who_know() -> None:
    with reserve("127.0.0.1", 0) as reserved:
        port = address_of(reserved)[1]
        with bind("127.0.0.1", port, shared=True) as one, bind("127.0.0.1", port, shared=True) as other:
            assert address_of(one) == address_of(other)
            one.listen()
            with pytest.raises(InUse):
                reserve("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_of_others_is_told(host: str) -> None:
    with pytest.raises(StartError, match="--host"):
        bind(host, 0)


def test_reserve_takes_no_connections() -> None:
    with reserve("127.0.0.1", 0) as reserved, pytest.raises(ConnectionRefusedError):
        socket.create_connection(address_of(reserved))


@dataclass
class Losing:
    times: int
    error: Exception = field(default_factory=Contention)
    calls: list[object] = field(default_factory=list)

    async def __call__(self, command: object) -> str:
        self.calls.append(command)
        if len(self.calls) <= self.times:
            raise self.error
        return "done"


async def test_a_command_that_lost_a_race_is_given_again_whole() -> None:
    losing = Losing(ATTEMPTS - 1)
    assert await Retried(losing)("command") == "done"
    assert losing.calls == ["command"] * ATTEMPTS


async def test_it_gives_up_in_the_end() -> None:
    losing = Losing(ATTEMPTS)
    with pytest.raises(Contention):
        await Retried(losing)("command")
    assert len(losing.calls) == ATTEMPTS


async def test_other_errors_are_not_tried_again() -> None:
    losing = Losing(1, NotFound())
    with pytest.raises(NotFound):
        await Retried(losing)("command")
    assert len(losing.calls) == 1


# They come again by themselves, and nobody waits for them.
_BACKGROUND = ("run_job", "reconcile", "notify_overdue", "schedule_clean_up")


def test_every_use_case_that_writes_is_tried_again() -> None:
    wrapped = retried(World().use_cases)
    reads = {name for name in UseCases.__slots__ if not isinstance(getattr(wrapped, name), Retried)}
    assert reads == {
        "authenticate",
        "list_sessions",
        "read_events",
        "find_task",
        "list_tasks",
        "count_tasks",
        "read_history",
        "find_user",
        "list_users",
        "find_job",
        "list_jobs",
        "count_jobs",
        *_BACKGROUND,
    }
    assert len(WRITES) + len(reads) == len(UseCases.__slots__)
