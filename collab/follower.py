"""The follower: rows and compacted states made from committed operations, graph by graph.

One at a time and step by step, so that a large graph does not hold up the others for longer than a step takes.
A copy that a step failed on is dropped and read again: nothing is kept that is not in the store.
Times are seconds of `clock`, which is monotonic.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import NamedTuple
from uuid import UUID

import structlog

from collab.copies import Copies, CopiesSettings
from collab.document import PoisonedDocumentError
from collab.projection import DocumentCopy
from persistence.errors import EditsChangedError, NotFoundError, StoreUnavailableError
from persistence.ports import Backlog, BeginCapture, Position, ProjectionStore

_log = structlog.get_logger("layercake.follower")

_LAST_ID = 2**63 - 1

_TRIES = 5
"""How often a step is tried whose edits somebody else changes; then the copy is read again."""


class FollowerSettings(NamedTuple):
    """When the follower does what."""

    compaction_operations: int = 10_000
    """From this many operations after the compacted state on, a new one is made."""
    compaction_bytes: int = 1024 * 1024
    """Or from this many bytes of operations on."""
    compaction_age_s: float = 300.0
    """Or once the oldest of them has this age."""
    compaction_share: float = 0.05
    """How much of the time one graph's compactions may take, however fast people type."""
    poll_s: float = 0.25
    """How often the log is asked for news."""
    share: float = 0.05
    """How much of the time following may take while nobody waits for it, whatever is edited in however many graphs."""
    poll_most_s: float = 1.0
    """So often the log is asked for news all the same: rows are not older than that and the time one round takes."""
    survey_s: float = 30.0
    """How often every graph is looked at: for what committed out of order, was left by others, or came of age."""
    retry_first_s: float = 1.0
    """The wait before a graph that failed is tried again; it doubles up to `retry_most_s`."""
    retry_most_s: float = 300.0
    copies: CopiesSettings = CopiesSettings()


@dataclass(slots=True)
class FollowerStatistics:
    """Counters since the start; `warnings` and `quarantined` are the numbers of all graphs, as of the last look."""

    operations: int = 0
    steps: int = 0
    compactions: int = 0
    compactions_refused: int = 0
    failures: int = 0
    warnings: int = 0
    quarantined: int = 0


def rest_s(worked_s: float, settings: FollowerSettings) -> float:
    """Return how long to rest after a round that took so long: fewer, larger steps cost less for each operation."""
    return max(settings.poll_s - worked_s, min(worked_s * (1 / settings.share - 1), settings.poll_most_s))


class Advance(Enum):
    """What became of a graph in one step."""

    DONE = auto()
    MORE = auto()
    """There is more to do, or the same to do again."""
    ELSEWHERE = auto()
    """Another process follows it, or it is gone."""


class _Failure(NamedTuple):
    times: int
    retry_at: float


class Follower:
    """Follows every graph that has operations its rows lack, and compacts those that are due."""

    def __init__(
        self,
        store: ProjectionStore,
        begin_capture: BeginCapture,
        clock: Callable[[], float],
        settings: FollowerSettings = FollowerSettings(),  # noqa: B008 - an immutable tuple
    ) -> None:
        self.statistics = FollowerStatistics()
        self._store = store
        self._begin_capture = begin_capture
        self._clock = clock
        self._settings = settings
        self._copies = Copies(store, settings.copies)
        self._behind_since: dict[UUID, float] = {}
        self._uncompacted: set[UUID] = set()
        self._failures: dict[UUID, _Failure] = {}
        self._uncompactable: set[UUID] = set()
        self._survey_at = float("-inf")

    def lag_s(self) -> float:
        """Return the age of the oldest operation known that the rows lack, in seconds, or more; 0 if there is none."""
        now = self._clock()
        return now - min(self._behind_since.values(), default=now)

    async def run(self, stop: asyncio.Event, wake: asyncio.Event) -> None:
        """Follow until `stop` is set; the step under way is finished. A store that is away is waited for.

        `wake` has the log looked at, and `stop` heard, without waiting for the next time.
        """
        while not stop.is_set():
            started = self._clock()
            wake.clear()
            try:
                await self.look()
                has_more = await self.work(stop)
            except StoreUnavailableError as error:
                _log.warning("following waits for the database", error=str(error))
                self._failures.clear()  # it was not the graphs' fault: they need not wait once it answers
                await _pause(wake, self._settings.retry_first_s)
                continue
            if not has_more:
                await _pause(wake, rest_s(self._clock() - started, self._settings))

    async def look(self) -> None:
        """Find out which graphs have something to do."""
        if self._store.has_lost_claims():
            self._copies.drop_all()
        if self._clock() >= self._survey_at:
            survey = await self._store.survey(self._settings.compaction_age_s)
            self._survey_at = self._clock() + self._settings.survey_s
            self._note(survey.behind)
            self._uncompacted.update(set(survey.uncompacted) - self._uncompactable)
            self.statistics.warnings = survey.warnings
        self._note(await self._store.news(self._copies.projected))
        self.statistics.quarantined = await self._store.quarantined()

    async def work(self, stop: asyncio.Event) -> bool:
        """Do one step of every graph that has something to do, until `stop`; return whether there is more to do."""
        has_more = False
        for graph_id in [*self._behind_since, *(self._uncompacted - self._behind_since.keys())]:
            failure = self._failures.get(graph_id)
            if stop.is_set():
                break
            if failure is None or failure.retry_at <= self._clock():
                has_more |= await self._try(graph_id) is Advance.MORE
        return has_more

    async def advance(self, graph_id: UUID) -> Advance:
        """Do one step of a graph: its rows show more operations, and it is compacted if all are shown and that is due.

        Each of the two all or nothing, whatever is raised.
        """
        try:
            return await self._advance_copy(graph_id)
        except NotFoundError:
            await self._copies.drop(graph_id)
            return Advance.ELSEWHERE
        except PoisonedDocumentError as error:
            await self._copies.drop(graph_id)
            bad = await self._copies.examine(graph_id, _LAST_ID)
            if not bad:
                raise
            await self._quarantine(graph_id, bad)
            _log.error("a document failed and is read again", graph=str(graph_id), error=str(error))
            return Advance.MORE
        except BaseException:
            await self._copies.drop(graph_id)
            raise

    async def release(self, graph_id: UUID) -> None:
        """Let others follow the graph."""
        await self._copies.drop(graph_id)

    def _note(self, backlogs: Sequence[Backlog]) -> None:
        now = self._clock()
        for graph_id, behind_s in backlogs:
            since = now - behind_s
            self._behind_since[graph_id] = min(since, self._behind_since.get(graph_id, since))

    async def _try(self, graph_id: UUID) -> Advance:
        try:
            advance = await self.advance(graph_id)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic of yrs is one; other graphs go on
            self._note_failure(graph_id, error)
            return Advance.DONE
        self._failures.pop(graph_id, None)
        if advance is not Advance.MORE:
            self._behind_since.pop(graph_id, None)
            self._uncompacted.discard(graph_id)
        return advance

    def _note_failure(self, graph_id: UUID, error: BaseException) -> None:
        times = self._failures[graph_id].times if graph_id in self._failures else 0
        wait_s = min(self._settings.retry_first_s * 2 ** min(times, 30), self._settings.retry_most_s)
        self._failures[graph_id] = _Failure(times + 1, self._clock() + wait_s)
        self.statistics.failures += 1
        _log.error(
            "a graph cannot be followed", graph=str(graph_id), error=f"{type(error).__name__}: {error}", wait_s=wait_s
        )

    async def _advance_copy(self, graph_id: UUID) -> Advance:
        copy = await self._copies.get(graph_id)
        if copy is None:
            return Advance.ELSEWHERE
        await self._quarantine(graph_id, copy.take_refused())  # by those read when the copy was made
        advance = await self._advance(copy)
        await self._copies.keep_within_bounds()
        return advance

    async def _advance(self, copy: DocumentCopy) -> Advance:
        position = await self._store.position(copy.graph_id)
        if position is None:
            return Advance.MORE
        if position[1:] != (copy.projected_through, copy.compacted_through) or not await self._project(copy, position):
            await self._copies.drop(copy.graph_id)  # somebody else moved a cursor
            return Advance.MORE
        if copy.through < position.highest:
            return Advance.MORE
        if self._is_due(copy):
            await self._compact(copy)
        return Advance.DONE

    async def _project(self, copy: DocumentCopy, position: Position) -> bool:
        highest = position.highest
        if copy.through >= highest and not copy.remakes_rows:
            return True
        await self._next(copy, highest)
        # Rows that are remade are remade at once: halfway, those of entities yet to come would be deleted.
        while copy.remakes_rows and copy.through < highest:
            await self._next(copy, highest)
        is_stored = await self._store_step(copy)
        self.statistics.steps += is_stored
        return is_stored

    async def _next(self, copy: DocumentCopy, highest: int) -> None:
        copy.begin_capture(self._begin_capture)
        limit = copy.limit(highest)
        operations = await self._store.operations(copy.graph_id, copy.through, limit)
        needed = copy.authors_needed(operations)
        copy.apply(operations, await self._store.authors(copy.graph_id, list(needed)) if needed else {})
        if not operations:
            copy.pass_to(limit)  # what is left up to there is in quarantine
        await self._quarantine(copy.graph_id, copy.take_refused())
        self.statistics.operations += len(operations)

    async def _store_step(self, copy: DocumentCopy) -> bool:
        """Store the copy's step, its edits as from those that somebody changed meanwhile."""
        step = copy.step()
        for _ in range(_TRIES):
            try:
                return await self._store.project(step)
            except EditsChangedError:
                stored = await self._store.edits(copy.graph_id)
                if stored is None:
                    return False
                step = replace(step, edits=copy.capture_again(stored))
        return False

    async def _quarantine(self, graph_id: UUID, bad: Mapping[int, str]) -> None:
        """Have operations left out that the copy was made without; before anything is stored that lacks them."""
        if bad:
            await self._store.quarantine(graph_id, bad)
            _log.error("operations are left out of a graph", graph=str(graph_id), operations=dict(bad))

    def _is_due(self, copy: DocumentCopy) -> bool:
        if copy.graph_id in self._uncompactable or not copy.fresh_operations or self._clock() < copy.rests_until:
            return False
        return (
            copy.graph_id in self._uncompacted
            or copy.fresh_operations >= self._settings.compaction_operations
            or copy.fresh_bytes >= self._settings.compaction_bytes
        )

    async def _compact(self, copy: DocumentCopy) -> None:
        started = self._clock()
        compaction = copy.compaction()
        if compaction is None:
            self._uncompactable.add(copy.graph_id)
            self.statistics.compactions_refused += 1
            _log.error("a graph is not compacted: its state would not load as what it is", graph=str(copy.graph_id))
            return
        if not await self._store.compact(compaction):
            await self._copies.drop(copy.graph_id)
            return
        copy.compacted(compaction)
        self.statistics.compactions += 1
        copy.rests_until = self._clock() + (self._clock() - started) * (1 / self._settings.compaction_share - 1)


async def _pause(wake: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(max(seconds, 0)):
            await wake.wait()
