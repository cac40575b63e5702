"""What holds of the core whatever it is given."""

from datetime import UTC, datetime, timedelta
from unicodedata import normalize

from hypothesis import given, settings
from hypothesis import strategies as st

from support.samples import NOW, new_id
from taskflow_core import (
    Action,
    Actor,
    HistoryEntry,
    InvalidTransition,
    NotFound,
    Priority,
    Status,
    Task,
    TaskChanges,
)
from taskflow_core.tasks import EARLIEST, LATEST, as_text, check_time, check_title
from taskflow_core.users import check_email

ACTOR = Actor(new_id())
OWNERS = [new_id() for _ in range(3)]


def _lowered(text: str) -> str:
    return normalize("NFKC", "".join(letter.lower() for letter in normalize("NFKC", text)))


@given(st.text(st.characters(), max_size=20), st.text(st.characters(), max_size=20))
def test_an_email_once_folded_stays_as_it_is(local: str, domain: str) -> None:
    try:
        email = check_email(f"{local}@{domain}")
    except ValueError:
        return
    assert check_email(email) == email
    # What mails go to is what was given, but for letter case.
    assert _lowered(email) == _lowered(f"{local}@{domain}".strip())
    assert check_email(f" {email.upper()} ") == check_email(email.upper())


@given(st.text(st.characters(), max_size=300))
def test_a_title_once_kept_stays_as_it_is(text: str) -> None:
    try:
        title = check_title(text)
    except ValueError:
        return
    assert check_title(title) == title
    assert title.encode()


@given(st.datetimes(timezones=st.timezones() | st.just(UTC)))
def test_a_time_is_the_same_moment_in_utc(time: datetime) -> None:
    try:
        kept = check_time(time)
    except ValueError:
        assert not EARLIEST + timedelta(days=2) < time.replace(tzinfo=UTC) < LATEST - timedelta(days=2)
        return
    assert kept is not None
    # By their timestamps: Python holds a local time that was skipped unequal to every other.
    assert kept.timestamp() == time.timestamp()
    assert kept.tzinfo is UTC


CHANGES = st.builds(
    TaskChanges,
    title=st.sampled_from(["A", "B"]),
    description=st.none() | st.just("Some"),
    status=st.sampled_from(Status),
    priority=st.sampled_from(Priority),
    due_date=st.none() | st.just(NOW),
    user_id=st.sampled_from(OWNERS),
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["change", "delete", "restore"]), CHANGES, st.integers(-(10**6), 10**6)),
    max_size=30,
)


@settings(max_examples=200)
@given(STEPS)
def test_a_life_adds_up(steps: list[tuple[str, TaskChanges, int]]) -> None:
    task, entry = Task.create(
        id=new_id(), entry_id=new_id(), user_id=OWNERS[0], title="A", actor=ACTOR, now=NOW
    )
    history, now = [entry], NOW
    for step, changes, seconds in steps:
        now += timedelta(seconds=seconds)
        before = task.version, task.updated_at
        made = take(task, step, changes, now)
        if made is not None:
            history.append(made)
        assert task.version == before[0] + (made is not None)
        assert task.updated_at >= before[1]
        assert (task.completed_at is not None) == (task.status is Status.COMPLETED)
    assert [entry.version for entry in history] == list(range(1, task.version + 1))
    assert [entry.at for entry in history] == sorted(entry.at for entry in history)
    assert replayed(history) == {name: as_text(getattr(task, name)) for name in TaskChanges.__slots__}


def take(task: Task, step: str, changes: TaskChanges, now: datetime) -> HistoryEntry | None:
    try:
        if step == "change":
            return task.change(changes, entry_id=new_id(), actor=ACTOR, now=now)
        return (task.delete if step == "delete" else task.restore)(entry_id=new_id(), actor=ACTOR, now=now)
    except (InvalidTransition, NotFound):
        return None


def replayed(history: list[HistoryEntry]) -> dict[str, str | None]:
    """The task's fields as its history alone tells them."""
    told: dict[str, str | None] = dict.fromkeys(TaskChanges.__slots__)
    for entry in history:
        assert bool(entry.changes) == (entry.action in {Action.CREATED, Action.UPDATED})
        for name, change in entry.changes.items():
            assert told[name] == change.before
            told[name] = change.after
    return told
