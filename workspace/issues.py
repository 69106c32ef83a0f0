"""What is wrong with tables, collected so that a person can mend all of it at once."""

from dataclasses import dataclass, field

MAX_ISSUES_SHOWN = 100
"""So many issues are described; the others are counted."""


@dataclass(frozen=True, slots=True)
class TableIssue:
    """One thing wrong: where, and what was expected there.

    `line` is where the row starts in its file (from 1), `column` the name in the header; each is
    None where the issue is about more than one.
    """

    file: str | None
    line: int | None
    column: str | None
    message: str

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        if self.column is not None:
            place += f" ({self.column})"
        return f"{place}: {self.message}" if place else self.message


class TableErrors(ValueError):  # noqa: N818 - it is all the errors of some tables, not one
    """Tables that cannot become a graph; `issues` are the first ones of `count`, by file and line."""

    def __init__(self, issues: tuple[TableIssue, ...], count: int) -> None:
        super().__init__(f"the tables have {count} error(s); the first: {issues[0]}")
        self.issues = issues
        self.count = count

    def __reduce__(self) -> tuple[type["TableErrors"], tuple[tuple[TableIssue, ...], int]]:
        """Let the worker process that finds them raise them here."""
        return TableErrors, (self.issues, self.count)


@dataclass(slots=True)
class Issues:
    """Collects issues; holds MAX_ISSUES_SHOWN of them and counts the rest."""

    shown: list[TableIssue] = field(default_factory=list)
    count: int = 0

    def add(self, file: str | None, line: int | None, column: str | None, message: str) -> None:
        """Note one issue."""
        self.count += 1
        if len(self.shown) < MAX_ISSUES_SHOWN:
            self.shown.append(TableIssue(file, line, column, message))

    def raise_if_any(self) -> None:
        """Raise TableErrors if anything was noted."""
        if self.count:
            ordered = sorted(self.shown, key=lambda issue: (issue.file or "", issue.line or 0))
            raise TableErrors(tuple(ordered), self.count)
