"""`taskflow users` over memory."""

import pytest

from support.cli import Cli
from support.samples import World, actor
from taskflow_cli import options
from taskflow_core import Role


def test_an_account_from_its_creation_to_its_end(taskflow: Cli, world: World) -> None:
    world.add_user(Role.ADMIN)
    made = taskflow.json("users", "create", "Ada@Example.com", "--password-stdin", stdin="a long password\n")
    assert (made["email"], made["name"], made["role"]) == ("ada@example.com", "Ada", "user")
    assert taskflow.json("users", "set-role", "ada@example.com", "manager")["role"] == "manager"
    assert taskflow.json("users", "deactivate", made["id"])["active"] is False
    assert taskflow.json("users", "activate", "ADA@example.com")["active"] is True
    assert taskflow.json("users", "show", "ada@example.com")["version"] == 4
    assert taskflow("users", "delete", "ada@example.com", stdin="n\n").exit_code == 1
    assert taskflow("users", "delete", "ada@example.com", "--yes").exit_code == 0
    assert taskflow("users", "show", "ada@example.com").exit_code == 4


def test_who_wants_no_notices_says_so(taskflow: Cli, world: World) -> None:
    world.add_user(email="ada@example.com")
    assert taskflow.json("users", "show", "ada@example.com")["notifications"] is True
    quiet = taskflow.json("users", "update", "ada@example.com", "--no-notifications", "--name", "Ada")
    assert (quiet["notifications"], quiet["name"]) == (False, "Ada")
    own = taskflow.json("users", "update", "ada@example.com", "--notifications", "--as", "ada@example.com")
    assert (own["notifications"], own["name"]) == (True, "Ada")
    assert taskflow("users", "update", "ada@example.com").exit_code == 2


def test_the_password_is_asked_for_and_never_shown(
    taskflow: Cli, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "at_terminal", lambda: True)
    made = taskflow("users", "create", "ada@example.com", stdin="a long password\na long password\n")
    assert made.exit_code == 0
    assert "a long password" not in made.output
    assert world.store.users
    assert taskflow("users", "create", "bob@example.com", stdin="one\nother\n").exit_code == 1


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_password_from_standard_input_keeps_its_blanks_alone(
    taskflow: Cli, world: World, mark: str
) -> None:
    stdin = f"{mark}  blanks count \r\n"
    taskflow("users", "create", "ada@example.com", "--password-stdin", stdin=stdin)
    (user,) = world.store.users.values()

    import asyncio

    assert asyncio.run(world.passwords.verify("  blanks count ", user.password_hash))


def test_a_password_of_another_encoding_is_refused(taskflow: Cli, world: World) -> None:
    for text in ("pässwörter".encode("latin-1"), "a long password".encode("utf-16")):
        ended = taskflow("users", "create", "ada@example.com", "--password-stdin", stdin=text)
        assert ended.exit_code == 3
        assert "password must be given in UTF-8" in ended.stderr
    assert not world.store.users


def test_faults_are_all_told(taskflow: Cli) -> None:
    ended = taskflow("users", "create", "nonsense", "--name", " ", "--password-stdin", stdin="short\n")
    assert ended.exit_code == 3
    assert [line.split()[0] for line in ended.stderr.splitlines()[1:]] == ["EMAIL", "--name", "password"]


def test_lists(taskflow: Cli, world: World) -> None:
    for role in Role:
        world.add_user(role, email=f"{role.value}@example.com", active=role is not Role.MANAGER)
    assert len(taskflow.json("users", "list")["data"]) == 3
    assert [u["role"] for u in taskflow.json("users", "list", "--role", "ADMIN")["data"]] == ["admin"]
    assert [u["role"] for u in taskflow.json("users", "list", "--inactive")["data"]] == ["manager"]
    assert [u["role"] for u in taskflow.json("users", "list", "--search", "USER@")["data"]] == ["user"]
    assert taskflow.json("users", "list", "--limit", "2")["more"] is True
    assert "manager@example.com" in taskflow("users", "list").stdout
    assert "No users." in taskflow("users", "list", "--search", "nobody").stdout


def test_the_last_admin_stays(taskflow: Cli, world: World) -> None:
    admin = world.add_user(Role.ADMIN)
    assert taskflow("users", "set-role", admin.id, "user").exit_code == 7
    assert taskflow("users", "deactivate", admin.id).exit_code == 7
    assert taskflow("users", "delete", admin.id, "--yes").exit_code == 7


def test_who_may_not(taskflow: Cli, world: World) -> None:
    world.add_user(email="ada@example.com")
    other = world.add_user(Role.MANAGER, email="bob@example.com")
    assert taskflow("users", "list", "--as", "ada@example.com").exit_code == 5
    assert taskflow("users", "show", other.id, "--as", "ada@example.com").exit_code == 4
    assert taskflow("users", "set-role", "bob@example.com", "admin", "--as", "bob@example.com").exit_code == 5
    assert taskflow("users", "purge", "--yes", "--as", "bob@example.com").exit_code == 5


def test_purge_removes_what_an_interrupted_deletion_left(taskflow: Cli, world: World) -> None:
    ada = world.add_user()
    world.add_task(ada.id)
    ada.mark_deleted(world.clock())
    world.store.put_user(ada)
    assert actor(ada).id == ada.id
    assert taskflow("users", "purge", stdin="n\n").exit_code == 1
    assert taskflow.json("users", "purge", "--yes") == {"removed": 2}
    assert not world.store.users
