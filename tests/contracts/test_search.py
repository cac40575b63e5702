"""Search: a substring, any letter case of any script, and nothing in it is special.

Canonically equivalent texts are the same text, whichever normalization form each is in (Unicode D145).
"""

from unicodedata import normalize

import pytest

from contracts.persistence import Persistence
from support.samples import NOW, OPERATOR, new_id, new_task, new_user
from taskflow_core import TaskChanges, TaskQuery, UserQuery

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

SAME = [
    ("Café um vier", "CAFÉ"),
    ("한국어 회의", "국어"),
    ("Cuộc họp bằng Tiếng Việt", "tiẾNG VIỆT"),
    ("\u212bre", "åRE"),
    ("K\u0153ur \u2126 \u212a", "ω k"),
    ("ΟΔΥΣΣΈΑΣ", "οδυσσέας"),
    ("\u1fb7\u03c3\u03bc\u03b1", "\u0391\u0342\u0399Σ"),
    ("\u03b1\u0345\u0342\u03c3", "\u0391\u0342\u0399Σ"),
    ("İzmir", "i\u0307ZMIR"),
    ("\u01f0oule", "J\u030cOULE"),
    ("q\u0307\u0323 order of marks", "Q\u0323\u0307"),
    ("a\u0328\u0301 several marks", "Ą\u0301"),
    ("\u0929\u0958 \u09cb", "\u0928\u093c\u0915\u093c \u09c7\u09be"),
    ("\uf900 \U0002f800", "\u8c48 \u4e3d"),
    ("\U0001d15e \U000110ab", "\U0001d157\U0001d165 \U000110a5\U000110ba"),
    ("שּׁלום", "ש\u05c1\u05bcל"),
    ("Ḱūṛṣṇā Straße", "ṢṆĀ STRASSE"),
]
"""Texts, and what is canonically equivalent to a part of them but for letter case."""

DIFFERENT = [
    ("Café", "cafe"),
    ("한국어", "하"),
    ("Tiếng", "tiêng"),
    ("ﬁle \u2460 \uff21", "1 a"),
    ("x\u00b2", "x2"),
    ("\u0131", "i"),
    ("İ", "\u0131"),
    ("ao\u030a", "å"),
]
"""Texts and searches that must not find them: accents count, and so do compatible forms (NFKC)."""


def _forms(text: str) -> set[str]:
    return {text, normalize("NFC", text), normalize("NFD", text)}


@pytest.mark.parametrize("where", ["title", "description"])
async def test_canonically_equivalent_texts_of_tasks_are_the_same(
    persistence: Persistence, where: str
) -> None:
    for text, search in (*SAME, *DIFFERENT):
        owner = await persistence.new_user()
        tasks = [new_task(owner.id, **{"title": "-", where: form}) for form in _forms(text)]
        await persistence.add_tasks(*tasks)
        expected = {task.id for task in tasks} if (text, search) in SAME else set()
        for form in _forms(search):
            page = await persistence.task_reads.tasks(TaskQuery(owner=owner.id, search=form), NOW)
            assert {task.id for task in page.items} == expected, (text, form)


async def test_canonically_equivalent_names_of_users_are_the_same(persistence: Persistence) -> None:
    people = {text: [new_user(name=form) for form in _forms(text)] for text, _ in (*SAME, *DIFFERENT)}
    await persistence.add_users(*(user for users in people.values() for user in users))
    for text, search in (*SAME, *DIFFERENT):
        ids = {user.id for user in people[text]}
        for form in _forms(search):
            page = await persistence.user_reads.users(UserQuery(search=form, limit=100), NOW)
            found = ids & {user.id for user in page.items}
            assert found == (ids if (text, search) in SAME else set()), (text, form)


async def test_a_text_that_changes_is_found_by_what_it_is_now(persistence: Persistence) -> None:
    task = await persistence.new_task((await persistence.new_user()).id, title=normalize("NFD", "Café"))
    async with persistence.transactions() as unit:
        stored = (await unit.tasks.load([task.id]))[task.id]
        changes = TaskChanges(title=normalize("NFD", "Crème"))
        entry = stored.change(changes, entry_id=new_id(), actor=OPERATOR, now=NOW)
        assert entry is not None
        unit.tasks.save(stored, entry)
        await unit.commit()
    for search, expected in (("café", 0), ("crème", 1)):
        page = await persistence.task_reads.tasks(TaskQuery(owner=task.user_id, search=search), NOW)
        assert len(page.items) == expected, search


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
