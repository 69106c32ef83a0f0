"""The one decision every door asks for: may this principal do this here?

Pure: who someone is and which role they hold is found out before, by the door.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal
from uuid import UUID


class Role(StrEnum):
    """What a person is in a group, from most to least."""

    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


class Action(StrEnum):
    """What a door is about to do."""

    READ = "read"
    EDIT = "edit"
    MANAGE = "manage"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who stands at the door. `role` is None where they have no part in the resource's group."""

    id: UUID
    name: str
    kind: Literal["person", "agent"]
    role: Role | None


_ALLOWED = {
    Role.ADMIN: frozenset(Action),
    Role.MEMBER: frozenset({Action.READ, Action.EDIT}),
    Role.VIEWER: frozenset({Action.READ}),
}


def may(principal: Principal, action: Action) -> bool:
    """Return whether `principal` may do `action`; without a role the answer is no."""
    return principal.role is not None and action in _ALLOWED[principal.role]
