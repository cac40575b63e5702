"""Passwords: a hash matches what it was made of, to the last byte, and nothing else."""

from collections.abc import Iterator

import pytest

from taskflow_core.ports.security import PasswordHasher
from taskflow_memory import MemoryPasswords


@pytest.fixture(params=["memory", "bcrypt"])
def passwords(request: pytest.FixtureRequest) -> Iterator[PasswordHasher]:
    if request.param == "memory":
        yield MemoryPasswords()
        return
    from taskflow_security import BcryptPasswords

    hasher = BcryptPasswords(cost=4)
    yield hasher
    hasher.close()


LONG = "x" * 72
PAIRS = {
    "case": ("Correct horse", "correct horse"),
    "a blank behind": ("correct horse", "correct horse "),
    "a blank before": ("correct horse", " correct horse"),
    "the 73rd byte": (LONG + "a", LONG + "b"),
    "something behind 72 bytes": (LONG, LONG + "a"),
    "the last of 256 characters": ("y" * 255 + "1", "y" * 255 + "2"),
    "the last of 256 characters of four bytes": ("\U0001f511" * 256, "\U0001f511" * 255 + "\U0001f512"),
    "behind a NUL": ("before\0one", "before\0two"),
    "a NUL behind": ("password", "password\0"),
    "composed or not": ("caf\u00e9 caf\u00e9", "cafe\u0301 cafe\u0301"),
    "lookalikes": ("password", "p\u0430ssword"),
    "surrogates": ("pass\ud800word", "pass\ud801word"),
    "all and nothing": ("password", ""),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
async def test_every_byte_counts(passwords: PasswordHasher, pair: tuple[str, str]) -> None:
    for right, wrong in (pair, pair[::-1]):
        hashed = await passwords.hash(right)
        assert await passwords.verify(right, hashed)
        assert not await passwords.verify(wrong, hashed)


async def test_two_hashes_of_one_password_differ_and_both_match(passwords: PasswordHasher) -> None:
    first, second = await passwords.hash("password"), await passwords.hash("password")
    assert first != second
    assert await passwords.verify("password", first)
    assert await passwords.verify("password", second)


async def test_a_hash_does_not_show_the_password(passwords: PasswordHasher) -> None:
    assert "password" not in await passwords.hash("password")


@pytest.mark.parametrize("password", ["password", "", "\0", "x" * 10_000])
async def test_nobody_has_no_password(passwords: PasswordHasher, password: str) -> None:
    assert await passwords.verify(password, None) is False


async def test_a_damaged_hash_matches_nothing(passwords: PasswordHasher) -> None:
    whole = await passwords.hash("password")
    damaged = [
        *(whole[:end] for end in range(len(whole))),
        whole[:-1] + ("a" if whole[-1] != "a" else "c"),
        "\0" + whole,
        " " + whole,
        whole.replace("$", "\0"),
        "é" * len(whole),
        "\ud800",
        "$2b$12$",
        "password",
    ]
    assert [hashed for hashed in damaged if await passwords.verify("password", hashed)] == []


async def test_what_it_made_is_not_outdated(passwords: PasswordHasher) -> None:
    assert not passwords.is_outdated(await passwords.hash("password"))


@pytest.mark.parametrize(
    "hashed", ["", "password", "$2b$12$", "\0", "$argon2id$v=19$m=65536,t=3,p=4$c29tZQ$aGFzaA"]
)
async def test_what_is_no_hash_of_its_kind_is_outdated(passwords: PasswordHasher, hashed: str) -> None:
    assert passwords.is_outdated(hashed)
