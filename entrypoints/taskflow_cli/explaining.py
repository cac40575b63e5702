"""Why somebody may do something, or may not: asked of the checks that the use cases call.

The actor that the checks are given writes down what they ask of it, so the answer names the rule that
decided without knowing any rule by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias
from uuid import UUID

from taskflow_core import Actor, Permission, Task, TaskFlowError, Unauthenticated, UserView
from taskflow_core.permissions import (
    PERMISSIONS,
    lacks,
    require_assign,
    require_change_task,
    require_change_user,
    require_delete_task,
    require_query_owner,
    require_see_task,
    require_see_user,
    require_take,
)

About: TypeAlias = Literal["task", "person", "nothing"]

_NO_ENTRY: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was asked: `active`, `owner`, a permission, or `state` (of the task)."""

    asked: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Traced(Actor):
    """An actor that writes down what it is asked."""

    steps: list[Step] = field(default_factory=list)

    def may(self, permission: Permission) -> bool:
        """Return whether it holds the permission."""
        return self._told(permission, holds=permission in self.permissions)

    def require(self, permission: Permission) -> None:
        """Raise `Forbidden` where it lacks the permission."""
        if not self.may(permission):
            raise lacks(permission)

    def owns(self, owner: UUID) -> bool:
        """Return whether what belongs to `owner` is its own."""
        return self._told("owner", holds=self.id is not None and self.id == owner)

    def _told(self, asked: str, *, holds: bool) -> bool:
        step = Step(str(asked), holds)
        # A rule that calls another may ask the same again.
        if step not in self.steps:
            self.steps.append(step)
        return holds


Check: TypeAlias = Callable[[Actor, UUID], None]
"""Raises where an actor may not do something to somebody's task, or to somebody."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that one can do.

    Attributes:
        does: What that is, for people.
        about: What it is done to.
        rule: What decides, as `taskflow_core.permissions` calls it.
        check: Calls that, with the task's owner or the other person.
        state: Raises where the task is not as it must be for this.
    """

    does: str
    about: About
    rule: str
    check: Check
    state: Callable[[Task, datetime], None] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How it ended.

    Attributes:
        rule: What decided.
        steps: What was asked, in order.
        refusal: What the use case would raise; None where it may.
    """

    rule: str
    steps: tuple[Step, ...]
    refusal: TaskFlowError | None = None


def explain(
    action: Action, person: UserView, *, task: Task | None, whom: UUID | None, now: datetime
) -> Verdict:
    """Return whether a person may do it, and why.

    Args:
        action: What it would do.
        person: Who would.
        task: To which task, where it is about one.
        whom: To whom, where it is about somebody.
        now: The time, for what can be done for a while only.
    """
    if not person.active:
        refusal = Unauthenticated("The account is deactivated: it cannot sign in.")
        return Verdict("active account", (Step("active", holds=False),), refusal)
    actor = Traced(person.id, PERMISSIONS[person.role])
    try:
        action.check(actor, task.user_id if task else whom or person.id)
    except TaskFlowError as error:
        return Verdict(action.rule, tuple(actor.steps), error)
    try:
        if task is not None and action.state is not None:
            action.state(task, now)
    except TaskFlowError as error:
        return Verdict("state of the task", (*actor.steps, Step("state", holds=False)), error)
    return Verdict(action.rule, tuple(actor.steps))


def _live(task: Task, _: datetime) -> None:
    task.require_live()


def _restorable(task: Task, now: datetime) -> None:
    # On a copy that nobody keeps; a task that is not deleted stays as it is.
    task.restore(entry_id=_NO_ENTRY, actor=Actor.operator(), now=now)


def _on_task(does: str, check: Check, state: Callable[[Task, datetime], None] = _live) -> Action:
    return Action(does, "task", check.__name__, check, state)


def _on_person(does: str, check: Check) -> Action:
    return Action(does, "person", check.__name__, check)


def _by_permission(does: str, permission: Permission) -> Action:
    return Action(does, "nothing", f"require {permission}", lambda actor, _: actor.require(permission))


def _change_user(does: str, *, own_profile_only: bool) -> Action:
    def check(actor: Actor, user: UUID) -> None:
        require_change_user(actor, user, own_profile_only=own_profile_only)

    return Action(does, "person", require_change_user.__name__, check)


def _list_any() -> Action:
    def check(actor: Actor, _: UUID) -> None:
        require_query_owner(actor, None)

    return Action("list and count everyone's tasks", "nothing", require_query_owner.__name__, check)


ACTIONS: Final[Mapping[str, Action]] = {
    "see": _on_task("see the task and its history", require_see_task),
    "change": _on_task("change the task", require_change_task),
    "delete": _on_task("delete the task", require_delete_task),
    "restore": _on_task("restore the task", require_delete_task, _restorable),
    "assign": _on_person("make tasks for, or move tasks to", require_assign),
    "take": _on_task("move the task to oneself", require_take),
    "list": _on_person("list and count the tasks of", require_query_owner),
    "list-any": _list_any(),
    "see-user": _on_person("see the account of", require_see_user),
    "change-profile": _change_user("change name or notifications of", own_profile_only=True),
    "change-user": _change_user("change email, role or activity of", own_profile_only=False),
    "see-users": _by_permission("list accounts", Permission.SEE_USERS),
    "manage-users": _by_permission(
        "make and delete accounts, reset passwords, end others' sessions", Permission.MANAGE_USERS
    ),
    "see-events": _by_permission("see everyone's security events", Permission.SEE_ANY_EVENT),
    "see-jobs": _by_permission("list, read and count jobs", Permission.SEE_JOBS),
    "steer-jobs": _by_permission("retry and discard dead jobs, make samples", Permission.STEER_JOBS),
}
"""What one can ask about, by name."""
