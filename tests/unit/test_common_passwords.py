"""Passwords that are tried first."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from taskflow_core.users import PASSWORD_MIN
from taskflow_security import ZxcvbnPasswords, common_passwords


@pytest.fixture(scope="module")
def common() -> ZxcvbnPasswords:
    return ZxcvbnPasswords()


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "12345678",
        "qwertyuiop",
        "iloveyou",
        "baseball",
        "1qaz2wsx",
        "p@ssw0rd",
        "sunshine",
        "admin123",
    ],
)
def test_the_first_that_are_tried_are_known(common: ZxcvbnPasswords, password: str) -> None:
    assert password in common


@pytest.mark.parametrize("password", ["PASSWORD", "PassWord", "QwertyUiop", "P@SSW0RD", "ILoveYou"])
def test_letter_case_makes_no_other(common: ZxcvbnPasswords, password: str) -> None:
    assert password in common


@pytest.mark.parametrize("password", ["taskflow", "TaskFlow", "taskflow1", "Taskflow2026!", "taskflow "])
def test_the_name_of_the_service_is_one(common: ZxcvbnPasswords, password: str) -> None:
    assert password in common


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "taskflow is my horse",
        "xK3!pq9Zr",
        "",
        "2026",
        "\ud800" * 8,
        "é" * 256,
    ],
)
def test_others_are_not(common: ZxcvbnPasswords, password: str) -> None:
    assert password not in common


@pytest.mark.parametrize("other", [None, 12345678, b"password", ["password"]])
def test_nor_is_what_is_no_text(common: ZxcvbnPasswords, other: object) -> None:
    assert other not in common


def test_an_installation_may_name_more() -> None:
    common = ZxcvbnPasswords(["User123-demo", "31415926535"])
    for password in ("user123-demo", "USER123-DEMO", "user123-demo!", "31415926535"):
        assert password in common
    for password in ("user", "31415", "user123", "271828182845"):
        assert password not in common
        assert password not in ZxcvbnPasswords()


def test_the_list_is_long_and_holds_nothing_that_is_too_short_anyway(common: ZxcvbnPasswords) -> None:
    known = common.load()
    assert len(known) > 40_000
    assert min(map(len, known)) == PASSWORD_MIN
    assert all(word == word.casefold() for word in known)


def test_it_is_loaded_at_the_first_question_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[None] = []
    real = common_passwords._listed

    def counted() -> frozenset[str]:
        loaded.append(None)
        return real()

    monkeypatch.setattr(common_passwords, "_listed", counted)
    common = ZxcvbnPasswords()
    assert loaded == []
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(common.__contains__, ["password"] * 50))
    assert loaded == [None]


def test_the_package_behind_it_is_not_imported() -> None:
    """Its lists and what it makes of them would stay: 19 MB in each process, against 4."""
    program = (
        "import sys; from taskflow_security import ZxcvbnPasswords; "
        "assert 'password' in ZxcvbnPasswords(); "
        "print([name for name in sys.modules if 'zxcvbn' in name or 'frequency' in name])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
