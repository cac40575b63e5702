"""Rights that end between a request's admission and its commit are gone."""

import pytest

from support.samples import NOW, World, actor
from taskflow_core import Forbidden, Role, Unauthenticated, User, UserDeletion
from taskflow_core.sessions import End


@pytest.mark.parametrize("ended", ["session", "session gone", "activity", "account", "role", "nothing"])
async def test_an_admitted_admin_is_checked_again(ended: str) -> None:
    world = World()
    other, admin = world.add_user(), world.add_user(Role.ADMIN)
    world.add_user(Role.ADMIN)
    session = world.add_session(admin.id)
    asking = actor(admin, session_id=session.id)
    stored: User = world.store.users[admin.id]
    if ended == "session":
        world.store.sessions[session.id].finish(End.LOGGED_OUT, NOW)
    elif ended == "session gone":
        del world.store.sessions[session.id]
    elif ended == "activity":
        stored.active = False
    elif ended == "account":
        stored.mark_deleted(NOW)
    elif ended == "role":
        stored.role = Role.MANAGER
    command = UserDeletion(other.id)
    if ended == "nothing":
        await world.use_cases.delete_user(command, asking)
    else:
        with pytest.raises(Forbidden if ended == "role" else Unauthenticated):
            await world.use_cases.delete_user(command, asking)
    assert (world.store.users[other.id].deleted_at is not None) == (ended == "nothing")
