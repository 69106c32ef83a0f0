"""Reads the members of one JSON object, each once, and tells of all that is wrong with them.

Pure. Names and choices are matched without regard to case, `_`, `-` and spaces. A member that is null is absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeVar

from replay.canonical import folded
from replay.plan import MAX_PROBLEMS_SHOWN, PlanErrors, PlanProblem

MAX_TEXT_CHARACTERS = 1_000
MAX_NUMBER = 1_000_000
MAX_NAME_CHARACTERS = 100
"""So much of the name of a member is shown in problems."""

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(slots=True)
class Problems:
    """Collects problems; holds MAX_PROBLEMS_SHOWN of them and counts the rest."""

    shown: list[PlanProblem] = field(default_factory=list)
    count: int = 0

    def add(self, problem: PlanProblem) -> None:
        """Note one problem."""
        self.count += 1
        if len(self.shown) < MAX_PROBLEMS_SHOWN:
            self.shown.append(problem)

    def raise_if_any(self) -> None:
        """Raise PlanErrors if anything was noted."""
        if self.count:
            raise PlanErrors(tuple(self.shown), self.count)


@dataclass(slots=True)
class Members:
    """The members of an object that nobody has read yet; `close` tells of those that are left.

    `path` is in front of the names in problems, which are about `node_id` or `edge_id`; messages begin with `place`.
    """

    problems: Problems
    place: str = ""
    path: str = ""
    node_id: str | None = None
    edge_id: str | None = None
    _left: dict[str, tuple[str, Any]] = field(default_factory=dict)
    _known: list[str] = field(default_factory=list)

    def open(self, told: Mapping[str, Any]) -> "Members":
        """Return these members with those of `told` that are not null."""
        for name, value in told.items():
            if value is None:
                continue
            first, _ = self._left.setdefault(folded(name), (name, value))
            if first != name:
                self.note("duplicate_member", name[:MAX_NAME_CHARACTERS], "remove it: another spelling says it already")
        return self

    def note(self, code: str, name: str, message: str) -> None:
        """Tell of a problem with one member."""
        message = f"{self.place}{self.path}{name}: {message}"
        self.problems.add(PlanProblem(code, message, self.node_id, self.edge_id, self.path + name))

    def take(self, name: str) -> Any:
        """Return a member as it is, None if it is absent."""
        self._known.append(name)
        return self._left.pop(folded(name), (name, None))[1]

    def text(self, name: str, max_characters: int = MAX_TEXT_CHARACTERS) -> str | None:
        """Return a text; an empty one is absent."""
        value = self.take(name)
        if value is None or (isinstance(value, str) and len(value) <= max_characters):
            return value or None
        self._refuse(name, f"give a text of at most {max_characters} characters")
        return None

    def texts(self, name: str, max_count: int) -> tuple[str, ...]:
        """Return a list of texts; a single text is a list of one."""
        value = self.take(name)
        found = [value] if isinstance(value, str) else [] if value is None else value
        if not isinstance(found, list) or len(found) > max_count or not all(isinstance(one, str) for one in found):
            self._refuse(name, f"give a list of at most {max_count} texts")
            return ()
        return tuple(one for one in found if one)

    def flag(self, name: str) -> bool | None:
        """Return true, false or None."""
        value = self.take(name)
        if isinstance(value, bool | None):
            return value
        self._refuse(name, "give true or false")
        return None

    def number(self, name: str) -> int | None:
        """Return an integer from 0 to MAX_NUMBER."""
        value = self.take(name)
        if value is None:
            return None
        if type(value) is int and 0 <= value <= MAX_NUMBER:
            return value
        self._refuse(name, f"give an integer from 0 to {MAX_NUMBER}")
        return None

    def choice(self, name: str, choices: type[_Choice]) -> _Choice | None:
        """Return one of `choices`."""
        value = self.take(name)
        if value is None:
            return None
        by_name = {folded(one.value): one for one in choices}
        found = by_name.get(folded(value)) if isinstance(value, str) else None
        if found is None:
            self._refuse(name, f"give one of {', '.join(one.value for one in choices)}")
        return found

    def object(self, name: str) -> dict[str, Any]:
        """Return an object, {} if it is absent."""
        value = self.take(name)
        if not isinstance(value, dict | None):
            self._refuse(name, "give an object")
            return {}
        return value or {}

    def inner(self, name: str) -> "Members":
        """Return the members of an object inside this one."""
        members = Members(self.problems, self.place, f"{self.path}{name}.", self.node_id, self.edge_id)
        return members.open(self.object(name))

    def close(self) -> None:
        """Tell of the members that nobody has read."""
        for name, _ in self._left.values():
            self._note_unknown(name[:MAX_NAME_CHARACTERS])

    def _note_unknown(self, name: str) -> None:
        is_shown = self.problems.count < MAX_PROBLEMS_SHOWN
        near = get_close_matches(name, self._known, 1) if is_shown else []
        hint = f"did you mean {near[0]!r}?" if near else f"remove it; known are {', '.join(sorted(self._known))}"
        self.note("unknown_member", name, f"there is no such member: {hint}")

    def _refuse(self, name: str, message: str) -> None:
        self.note("invalid_value", name, message)
