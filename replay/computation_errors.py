"""Why a node of a plan cannot be computed."""

from collections.abc import Iterable
from itertools import islice

MAX_PROBLEMS_SHOWN = 100
"""So many problems are described; of more, it is only said that there are."""


class ComputationError(ValueError):
    """Data that a node cannot compute with; `problems` are the first MAX_PROBLEMS_SHOWN, and what to do about them."""

    def __init__(self, node_id: str, problems: tuple[str, ...]) -> None:
        super().__init__(f"node {node_id!r} cannot be computed: {problems[0]}")
        self.node_id = node_id
        self.problems = problems

    def __reduce__(self) -> tuple[type["ComputationError"], tuple[str, tuple[str, ...]]]:
        """Let the worker process that finds them raise them here."""
        return ComputationError, (self.node_id, self.problems)


def raise_if_any(node_id: str, problems: Iterable[str]) -> None:
    """Raise ComputationError if there are `problems`; no more of them are looked at than it holds, and one."""
    found = tuple(islice(problems, MAX_PROBLEMS_SHOWN + 1))
    if len(found) > MAX_PROBLEMS_SHOWN:
        found = (*found[:MAX_PROBLEMS_SHOWN], "there are more problems; mend these first")
    if found:
        raise ComputationError(node_id, found)
