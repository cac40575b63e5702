"""Accounts by HTTP: the shapes that clients rely on."""

from __future__ import annotations

from support.http_world import PASSWORD, World

NEW = {"email": "Ada@Example.com", "name": " Ada ", "password": PASSWORD}


async def test_registering_signs_in(world: World) -> None:
    answer = await world.send(None, "POST", "/auth/register", json=NEW)

    told = answer.json()
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["location"] == f"/users/{told['user']['id']}"
    assert (told["token_type"], told["expires_in"]) == ("Bearer", 900)
    assert set(told) == {"access_token", "refresh_token", "token_type", "expires_in", "user"}
    assert told["user"] == {
        "id": told["user"]["id"],
        "email": "ada@example.com",
        "name": "Ada",
        "role": "user",
        "active": True,
        "notifications": True,
        "createdAt": "2030-01-01T00:00:00Z",
        "updatedAt": "2030-01-01T00:00:00Z",
        "version": 1,
    }
    headers = {"Authorization": f"bearer {told['access_token']}"}
    assert (await world.client.get("/users/me", headers=headers)).json() == told["user"]


async def test_signing_in(world: World) -> None:
    answer = await world.send(
        None, "POST", "/auth/login", json={"email": "ADMIN@example.com", "password": PASSWORD}
    )

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["user"]["role"] == "admin"


async def test_an_inactive_account_cannot_sign_in(world: World) -> None:
    await world.send("admin", "PATCH", f"/users/{world.people['user'].id}", json={"active": False})

    answer = await world.send(
        None, "POST", "/auth/login", json={"email": "user@example.com", "password": PASSWORD}
    )

    assert answer.status_code == 401


async def test_an_admin_makes_accounts(world: World) -> None:
    answer = await world.send("admin", "POST", "/users", json=NEW | {"role": "manager", "active": False})

    told = answer.json()
    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
    assert answer.headers["location"] == f"/users/{told['id']}"
    assert (told["role"], told["active"], told["name"]) == ("manager", False, "Ada")


async def test_an_admin_changes_accounts(world: World) -> None:
    path = f"/users/{world.people['user'].id}"
    body = {"email": "new@example.com", "name": "New", "role": "admin", "active": False}

    answer = await world.send("admin", "PATCH", path, json=body)

    told = answer.json()
    assert {name: told[name] for name in body} == body
    assert (told["version"], answer.headers["etag"]) == (2, '"2"')


async def test_lists_of_accounts(world: World) -> None:
    async def names(query: str) -> list[str]:
        answer = await world.send("manager", "GET", f"/users?{query}")
        return [user["name"] for user in answer.json()["data"]]

    assert await names("sort=email") == ["Admin", "Manager", "Other", "User"]
    assert await names("") == ["Admin", "Manager", "Other", "User"]
    assert await names("sort=createdAt") == ["User", "Other", "Manager", "Admin"]
    assert await names("role=user&sort=-email") == ["User", "Other"]
    assert await names("search=MANA") == ["Manager"]
    assert await names("active=false") == []


async def test_the_last_admin_stays(world: World) -> None:
    path = f"/users/{world.people['admin'].id}"

    for method, body in (("PATCH", {"role": "user"}), ("PATCH", {"active": False}), ("DELETE", None)):
        answer = await world.send("admin", method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "last_admin")


async def test_no_secret_leaves(world: World) -> None:
    secrets = [user.password_hash for user in world.store.users.values()] + [PASSWORD]

    for path in ("/users", "/users/me", f"/users/{world.people['user'].id}"):
        answer = await world.send("admin", "GET", path)
        assert not any(secret in answer.text for secret in secrets)
        assert "password" not in answer.text.lower()


async def test_everybody_chooses_whether_to_be_told(world: World) -> None:
    answer = await world.send("user", "PATCH", "/users/me", json={"notifications": False})

    assert (answer.status_code, answer.json()["notifications"], answer.json()["version"]) == (200, False, 2)
    own = await world.send("user", "GET", "/users/me")
    listed = (await world.send("admin", "GET", "/users?search=user@")).json()["data"]
    assert own.json()["notifications"] is False
    assert [user["notifications"] for user in listed] == [False]
    again = await world.send("user", "PATCH", "/users/me", json={"notifications": False})
    assert again.json()["version"] == 2


async def test_notifications_by_id(world: World) -> None:
    own, others = (f"/users/{world.people[name].id}" for name in ("user", "other"))
    off = {"notifications": False}

    codes = [
        (await world.send(who, "PATCH", path, json=off)).status_code
        for who, path in (("user", own), ("user", others), ("manager", others), ("admin", others))
    ]

    assert codes == [200, 404, 403, 200]
    assert not world.store.users[world.people["other"].id].notifications


async def test_notifications_are_true_or_false(world: World) -> None:
    for value in (None, "false", 0, 1, ["x"]):
        answer = await world.send("user", "PATCH", "/users/me", json={"notifications": value})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/notifications")
    made = await world.send("admin", "POST", "/users", json=NEW | {"notifications": False})
    assert made.status_code == 422
