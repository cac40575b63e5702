"""Search: a substring, any letter case of any script, and nothing in it is special."""

import pytest

from contracts.persistence import Persistence
from support.samples import NOW, new_task, new_user
from taskflow_core import TaskQuery, UserQuery

TEXTS = {
    "percent": "100% done",
    "underscore": "snake_case",
    "neither": "1000 done by snakeXcase",
    "backslash": r"C:\temp\new",
    "quotes": "it's \"quoted\" 'twice''",
    "regex": "a.*b [x] (y|z) ^$ +?{1}",
    "german": "Große Straße",
    "greek": "ΟΔΟΣ του Οδυσσέα",
    "russian": "Съешь ЖЕ ещё",
    "turkish": "İstanbul",
    "deseret": "\U00010414\U00010428",
    "ligature": "eﬃcient",
    "chinese": "買東西",
    "arabic": "مهمة",
    "emoji": "ship \U0001f680 now",
    "accents": "Crème Brûlée",
    "spaces": "two  spaces",
    "lines": "first\nsecond",
}

SEARCHES = [
    ("%", {"percent"}),
    ("0% D", {"percent"}),
    ("_", {"underscore"}),
    ("e_c", {"underscore"}),
    ("\\", {"backslash"}),
    ("\\TEMP\\", {"backslash"}),
    ("'", {"quotes"}),
    ('"', {"quotes"}),
    ("TWICE''", {"quotes"}),
    (".*", {"regex"}),
    ("(y|z)", {"regex"}),
    ("STRASSE", {"german"}),
    ("straße", {"german"}),
    ("STRAẞE", {"german"}),
    ("οδος", {"greek"}),
    ("ΟΔΟσ", {"greek"}),
    ("ὈΔΥΣΣΈΑ", set()),
    ("ΟΔΥΣΣΈΑ", {"greek"}),
    ("съЕШЬ", {"russian"}),
    ("İSTANBUL", {"turkish"}),
    ("\U0001043c", {"deseret"}),
    ("FFI", {"ligature"}),
    ("東", {"chinese"}),
    ("مهم", {"arabic"}),
    ("\U0001f680", {"emoji"}),
    ("CRÈME", {"accents"}),
    ("creme", set()),
    ("two spaces", set()),
    ("O  S", {"spaces"}),
    ("T\nS", {"lines"}),
    ("DONE", {"percent", "neither"}),
    ("no such thing", set()),
]


@pytest.mark.parametrize("where", ["title", "description"])
async def test_tasks_are_found_by(persistence: Persistence, where: str) -> None:
    owner = await persistence.new_user()
    tasks = {name: new_task(owner.id, **{"title": "-", where: text}) for name, text in TEXTS.items()}
    await persistence.add_tasks(*tasks.values())
    names = {task.id: name for name, task in tasks.items()}
    for search, expected in SEARCHES:
        for asked in (owner.id, None):
            page = await persistence.task_reads.tasks(TaskQuery(owner=asked, search=search, limit=100), NOW)
            assert {names[task.id] for task in page.items} == expected, search


async def test_a_task_without_description_is_found_by_its_title(persistence: Persistence) -> None:
    owner = await persistence.new_user()
    task = await persistence.new_task(owner.id, title="None", description=None)
    page = await persistence.task_reads.tasks(TaskQuery(owner=owner.id, search="none"), NOW)
    assert [found.id for found in page.items] == [task.id]


async def test_users_are_found_by_email_and_by_name(persistence: Persistence) -> None:
    people = {name: new_user(name=text) for name, text in TEXTS.items()}
    by_email = new_user(email="100%_off@example.com")
    await persistence.add_users(*people.values(), by_email)
    names = {user.id: name for name, user in people.items()} | {by_email.id: "email"}
    searches = [(s, set(e)) for s, e in SEARCHES if s not in "%_"]
    searches += [("%", {"percent", "email"}), ("0%_O", {"email"}), ("OFF@Example", {"email"})]
    for search, expected in searches:
        page = await persistence.user_reads.users(UserQuery(search=search, limit=100), NOW)
        assert {names[user.id] for user in page.items} == expected, search
