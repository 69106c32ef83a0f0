"""Why a graph is not rebuilt."""

from uuid import UUID

from persistence.errors import StoreUnavailableError


class NoBaseError(Exception):
    """Neither a plan nor a parent says anything of the graph, so there is nothing to rebuild it of."""

    def __init__(self, graph_id: UUID) -> None:
        super().__init__(f"the graph {graph_id} has no base: only graphs that a plan makes, and copies, can be rebuilt")
        self.graph_id = graph_id


class CaptureBehindError(StoreUnavailableError):
    """Edits that are committed are not captured yet: rebuilt now, the graph would be without them."""

    def __init__(self, graph_id: UUID, waited_s: float) -> None:
        super().__init__(
            f"the edits of the graph {graph_id} were not all captured within {waited_s:g} s; try again, and if it "
            "stays so look in the log for what the maintenance process fails on"
        )
        self.graph_id = graph_id

    def __str__(self) -> str:
        return self.reason


class RebuildTimeoutError(StoreUnavailableError):
    """A rebuild was waited for as long as an edit may take; it goes on, or waits for its turn."""

    def __init__(self, graph_id: UUID, waited_s: float) -> None:
        super().__init__(
            f"the graph {graph_id} was not rebuilt within {waited_s:g} s, and may still be; look at its replays before "
            "you ask again"
        )
        self.graph_id = graph_id

    def __str__(self) -> str:
        return self.reason


class TooManyRebuildsError(StoreUnavailableError):
    """So many rebuilds wait for their turn that no further one may."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} rebuilds wait for their turn, and no more may; try again later")
        self.limit = limit

    def __str__(self) -> str:
        return self.reason
