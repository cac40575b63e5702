"""Who may do what: the table, and the answer that each check gives."""

from collections.abc import Callable

import pytest

from support.samples import new_id
from taskflow_core import PERMISSIONS, Actor, Forbidden, NotFound, Permission, Role, permissions

ME, OTHER = new_id(), new_id()
ACTORS = {
    "nobody": Actor(None),
    "user": Actor.of(ME, Role.USER),
    "manager": Actor.of(ME, Role.MANAGER),
    "admin": Actor.of(ME, Role.ADMIN),
    "operator": Actor.operator(),
}
OK, F, N = None, Forbidden, NotFound
Answer = type[Exception] | None
# Of each actor: the answer about its own, about another's.
Row = dict[str, tuple[Answer, Answer]]

CHECKS: dict[str, tuple[Callable[[Actor], object], Callable[[Actor], object], Row]] = {
    "see a task": (
        lambda actor: permissions.require_see_task(actor, ME),
        lambda actor: permissions.require_see_task(actor, OTHER),
        {"nobody": (N, N), "user": (OK, N), "manager": (OK, OK), "admin": (OK, OK), "operator": (OK, OK)},
    ),
    "change a task": (
        lambda actor: permissions.require_change_task(actor, ME),
        lambda actor: permissions.require_change_task(actor, OTHER),
        {"nobody": (N, N), "user": (OK, N), "manager": (OK, OK), "admin": (OK, OK), "operator": (OK, OK)},
    ),
    "delete a task": (
        lambda actor: permissions.require_delete_task(actor, ME),
        lambda actor: permissions.require_delete_task(actor, OTHER),
        {"nobody": (N, N), "user": (OK, N), "manager": (OK, F), "admin": (OK, OK), "operator": (OK, OK)},
    ),
    "assign a task to": (
        lambda actor: permissions.require_assign(actor, ME),
        lambda actor: permissions.require_assign(actor, OTHER),
        {"nobody": (F, F), "user": (OK, F), "manager": (OK, OK), "admin": (OK, OK), "operator": (OK, OK)},
    ),
    "ask for the tasks of": (
        lambda actor: permissions.require_query_owner(actor, ME),
        lambda actor: permissions.require_query_owner(actor, OTHER),
        {"nobody": (F, F), "user": (OK, F), "manager": (OK, OK), "admin": (OK, OK), "operator": (OK, OK)},
    ),
    "see a user": (
        lambda actor: permissions.require_see_user(actor, ME),
        lambda actor: permissions.require_see_user(actor, OTHER),
        {"nobody": (N, N), "user": (OK, N), "manager": (OK, OK), "admin": (OK, OK), "operator": (OK, OK)},
    ),
    "change a profile": (
        lambda actor: permissions.require_change_user(actor, ME, own_profile_only=True),
        lambda actor: permissions.require_change_user(actor, OTHER, own_profile_only=True),
        {"nobody": (N, N), "user": (OK, N), "manager": (OK, F), "admin": (OK, OK), "operator": (OK, OK)},
    ),
    "change more than a profile": (
        lambda actor: permissions.require_change_user(actor, ME, own_profile_only=False),
        lambda actor: permissions.require_change_user(actor, OTHER, own_profile_only=False),
        {"nobody": (N, N), "user": (F, N), "manager": (F, F), "admin": (OK, OK), "operator": (OK, OK)},
    ),
}


def answer(check: Callable[[Actor], object], actor: Actor) -> Answer:
    try:
        check(actor)
    except (Forbidden, NotFound) as error:
        return type(error)
    return None


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_for_every_actor(name: str) -> None:
    own, anothers, expected = CHECKS[name]
    answers = {who: (answer(own, actor), answer(anothers, actor)) for who, actor in ACTORS.items()}
    assert answers == expected


def test_who_only_sees_may_do_nothing_with_what_it_sees() -> None:
    """No role is like this; embedders may make one."""
    onlooker = Actor(ME, frozenset({Permission.SEE_ANY_TASK, Permission.SEE_USERS}))
    answers = {name: answer(anothers, onlooker) for name, (_, anothers, _) in CHECKS.items()}
    assert answers == {
        "see a task": OK,
        "change a task": F,
        "delete a task": F,
        "assign a task to": F,
        "ask for the tasks of": OK,
        "see a user": OK,
        "change a profile": F,
        "change more than a profile": F,
    }


def test_the_table() -> None:
    assert {
        Role.USER: set(),
        Role.MANAGER: {Permission.SEE_ANY_TASK, Permission.CHANGE_ANY_TASK, Permission.SEE_USERS},
        Role.ADMIN: set(Permission),
    } == PERMISSIONS


def test_everyones_tasks_are_for_those_who_see_any() -> None:
    answers = {
        who: answer(lambda a: permissions.require_query_owner(a, None), a) for who, a in ACTORS.items()
    }
    assert answers == {"nobody": F, "user": F, "manager": OK, "admin": OK, "operator": OK}


def test_whose_tasks_one_sees() -> None:
    assert permissions.seen_owner(ACTORS["user"]) == ME
    assert [permissions.seen_owner(ACTORS[who]) for who in ("manager", "admin", "operator")] == [None] * 3
    with pytest.raises(NotFound):
        permissions.seen_owner(ACTORS["nobody"])


@pytest.mark.parametrize("permission", Permission)
def test_one_may_what_one_holds(permission: Permission) -> None:
    holder, other = Actor(ME, frozenset({permission})), Actor(ME, frozenset(Permission) - {permission})
    holder.require(permission)
    assert holder.may(permission)
    assert not other.may(permission)
    with pytest.raises(Forbidden):
        other.require(permission)


def test_actors_know_who_they_are() -> None:
    assert Actor.of(ME, Role.MANAGER, "r") == Actor(ME, PERMISSIONS[Role.MANAGER], "r")
    assert Actor.of(ME, Role.USER, session_id=OTHER).session_id == OTHER
    assert Actor.operator("r").session_id is None
    assert Actor.operator("r") == Actor(None, frozenset(Permission), "r")
    assert Actor(ME).owns(ME)
    assert not Actor(ME).owns(OTHER)
    assert not Actor.operator().owns(ME)
