"""What `BcryptPasswords` does beyond its port: threads, a bounded queue, and the same work for nobody."""

import asyncio
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import bcrypt
import pytest

from taskflow_core import Overloaded
from taskflow_security import BcryptPasswords, passwords


@pytest.fixture
def hasher() -> Iterator[BcryptPasswords]:
    made = BcryptPasswords(cost=4, threads=1, queue=1)
    yield made
    made.close()


class SlowHash:
    """Stands in for a hash: works until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.begun = threading.Event()
        self.threads: set[str] = set()

    def __call__(self, password: str, cost: int) -> str:
        self.threads.add(threading.current_thread().name)
        self.begun.set()
        self.let_go.wait()
        return f"{password} at {cost}"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowHash]:
    stand_in = SlowHash()
    monkeypatch.setattr(passwords, "_hash", stand_in)
    yield stand_in
    stand_in.let_go.set()


async def begin(hasher: BcryptPasswords, password: str) -> asyncio.Task[str]:
    task = asyncio.create_task(hasher.hash(password))
    await asyncio.sleep(0)
    return task


async def test_who_finds_the_queue_full_is_told_at_once(hasher: BcryptPasswords, slow: SlowHash) -> None:
    working, waiting = await begin(hasher, "one"), await begin(hasher, "two")
    with pytest.raises(Overloaded):
        await hasher.hash("three")
    with pytest.raises(Overloaded):
        await hasher.verify("three", None, signed_in=True)
    slow.let_go.set()
    assert [await working, await waiting] == ["one at 4", "two at 4"]
    assert await hasher.hash("three") == "three at 4"


async def test_log_ins_do_not_wait_for_new_passwords(slow: SlowHash) -> None:
    hasher = BcryptPasswords(cost=4, threads=2, queue=1)
    changes = [await begin(hasher, "one"), await begin(hasher, "two")]
    for refused in (hasher.hash("three"), hasher.verify("three", None, signed_in=True)):
        with pytest.raises(Overloaded):
            await refused
    async with asyncio.timeout(60):
        assert not await hasher.verify("of a log-in", None)
    slow.let_go.set()
    assert await asyncio.gather(*changes) == ["one at 4", "two at 4"]
    hasher.close()


async def test_no_more_passwords_are_hashed_at_a_time_than_there_are_threads(slow: SlowHash) -> None:
    hasher = BcryptPasswords(cost=4, threads=1, queue=1)
    change = await begin(hasher, "one")
    await asyncio.to_thread(slow.begun.wait)
    log_in = asyncio.create_task(hasher.verify("of a log-in", None))
    done, _ = await asyncio.wait([log_in], timeout=0.2)
    assert not done
    slow.let_go.set()
    assert (await change, await log_in) == ("one at 4", False)
    hasher.close()


async def test_work_keeps_its_place_when_nobody_waits_for_it(hasher: BcryptPasswords, slow: SlowHash) -> None:
    given_up, waiting = await begin(hasher, "one"), await begin(hasher, "two")
    await asyncio.to_thread(slow.begun.wait)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    with pytest.raises(Overloaded):
        await hasher.hash("three")
    slow.let_go.set()
    assert await waiting == "two at 4"


async def test_who_waits_no_more_gives_the_place_back(hasher: BcryptPasswords, slow: SlowHash) -> None:
    working, given_up = await begin(hasher, "one"), await begin(hasher, "two")
    await asyncio.to_thread(slow.begun.wait)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    waiting = await begin(hasher, "three")
    assert not waiting.done()
    slow.let_go.set()
    assert [await working, await waiting] == ["one at 4", "three at 4"]


async def test_places_come_back_after_failures(
    hasher: BcryptPasswords, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(password: str, cost: int) -> str:
        raise MemoryError(password, cost)

    with monkeypatch.context() as patched:
        patched.setattr(passwords, "_hash", fail)
        for _ in range(5):
            with pytest.raises(MemoryError):
                await hasher.hash("password")
    assert await hasher.hash("password")


async def test_hashing_has_threads_of_its_own(hasher: BcryptPasswords, slow: SlowHash) -> None:
    slow.let_go.set()
    await hasher.hash("password")
    assert slow.threads == {"taskflow-passwords_0"}


async def test_after_close_nothing_is_taken(hasher: BcryptPasswords) -> None:
    hasher.close()
    for _ in range(5):  # the same answer each time: no place is lost by it
        with pytest.raises(RuntimeError):
            await hasher.hash("password")
    hasher.close()


async def test_the_cost_is_in_the_hash(hasher: BcryptPasswords) -> None:
    assert (await hasher.hash("password")).startswith("$2b$04$")


async def test_the_work_for_nobody_is_that_for_somebody(
    hasher: BcryptPasswords, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int, bytes]] = []
    real = bcrypt.checkpw

    def watched(password: bytes, hashed: bytes) -> bool:
        asked.append((len(password), len(hashed), hashed[:7]))
        return real(password, hashed)

    somebody = await hasher.hash("password")
    monkeypatch.setattr(bcrypt, "checkpw", watched)
    assert not await hasher.verify("wrong", somebody)
    assert not await hasher.verify("wrong", None)
    assert asked[0] == asked[1] == (44, 60, b"$2b$04$")


async def test_it_hashes_the_base64_of_a_sha256(hasher: BcryptPasswords) -> None:
    # `printf password | sha256sum | xxd -r -p | base64`
    digest = b"XohImNooBHFR0OVvjcYpJ3NgPQ1qq73WKhHvch0VQtg="
    assert bcrypt.checkpw(digest, (await hasher.hash("password")).encode())
    assert await hasher.verify("password", bcrypt.hashpw(digest, bcrypt.gensalt(5)).decode())


@pytest.mark.parametrize(
    ("hashed", "outdated"),
    [
        pytest.param(bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode(), False, id="as it is"),
        pytest.param(bcrypt.hashpw(b"x", bcrypt.gensalt(5)).decode(), True, id="another cost"),
        pytest.param(bcrypt.hashpw(b"x", bcrypt.gensalt(4, b"2a")).decode(), True, id="another version"),
        ("$2b$04$" + "x" * 52, True),
        ("$2b$04$" + "x" * 54, True),
        ("$2b$04$" + "x" * 53 + "\n", True),
        ("$2b$04$" + "\u0661" * 53, True),
        ("$2b$\u0660\u0664$" + "x" * 53, True),
    ],
)
async def test_another_cost_or_damage_is_outdated(
    hasher: BcryptPasswords, hashed: str, *, outdated: bool
) -> None:
    assert hasher.is_outdated(hashed) is outdated


async def test_in_a_storm_who_finds_no_place_is_refused_without_waiting_for_anything(
    hasher: BcryptPasswords, slow: SlowHash
) -> None:
    working, waiting = await begin(hasher, "one"), await begin(hasher, "two")
    for _ in range(1_000):
        with pytest.raises(Overloaded):
            hasher.hash("password").send(None)
    slow.let_go.set()
    assert [await working, await waiting] == ["one at 4", "two at 4"]


async def test_the_event_loop_goes_on_while_a_password_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """bcrypt lets go of the interpreter's lock; else nobody would have a turn for as long as it works.

    Where the machine has no time for us, neither has the loop: one hash that leaves it alone shows it.
    """
    hasher, real = BcryptPasswords(cost=10, threads=1), bcrypt.checkpw
    worked = (0.0, 0.0)

    def watched(password: bytes, hashed: bytes) -> bool:
        nonlocal worked
        began, matches = time.perf_counter(), real(password, hashed)
        worked = (began, time.perf_counter())
        return matches

    async def longest_wait() -> float:
        """The part of a hash that the loop's own work waited for its next turn at most."""
        turns, hashing = list[float](), asyncio.create_task(hasher.verify("password", None))
        while not hashing.done():
            turns.append(time.perf_counter())
            await asyncio.sleep(0)
        assert await hashing is False
        began, ended = worked
        within = [began, *(turn for turn in turns if began < turn < ended), ended]
        return max(later - turn for turn, later in pairwise(within)) / (ended - began)

    monkeypatch.setattr(bcrypt, "checkpw", watched)
    async with asyncio.timeout(60):
        while await longest_wait() > 0.5:
            pass
    hasher.close()
