"""CAPTURE on a real PostgreSQL: what people commit becomes manual edits in the follower's step."""

from uuid import UUID

import asyncpg
import pytest
from pycrdt import merge_updates

from collab.follower import Follower, FollowerSettings
from persistence.database import Database
from persistence.errors import EditsChangedError
from persistence.ports import ProjectionStep
from persistence.projection import Projection
from persistence.rebuilding import Rebuilding
from persistence.records import ANONYMOUS_USER_ID
from tests.integration.captured import Person, adds, drops, edits, new_computed_graph, new_user, sets, told
from tests.integration.followed import BEGIN_CAPTURE, Clock, caught_up, new_graph, nodes, store

SWITCH_OFF = "UPDATE manual_edits SET is_active = FALSE, deactivated_at = now(), deactivation_reason = 'by hand'"


@pytest.fixture
async def graph_id(database: Database) -> UUID:
    return await new_computed_graph(database)


@pytest.fixture
async def ada(database: Database, graph_id: UUID) -> Person:
    return await Person(database, graph_id, ANONYMOUS_USER_ID, 11).joined()


@pytest.fixture
async def ben(database: Database, owner: asyncpg.Connection, graph_id: UUID) -> Person:
    return await Person(database, graph_id, await new_user(owner), 12).joined()


@pytest.fixture
def follower(projection: Projection) -> Follower:
    return Follower(projection, BEGIN_CAPTURE, Clock())


NINE = [
    (adds("nodes", "n", label="N"), ("node_create", "n", None)),
    (sets("nodes", "a", label="Mine", comment="c"), ("node_update", "a", {"label": "Mine", "comment": "c"})),
    (drops("nodes", "c"), ("node_delete", "c", None)),
    (adds("edges", "e", source="a", target="c"), ("edge_create", "e", None)),
    (sets("edges", "ab", weight=2.5), ("edge_update", "ab", {"weight": 2.5})),
    (drops("edges", "ab"), ("edge_delete", "ab", None)),
    (adds("layers", "m", name="M"), ("layer_create", "m", None)),
    (sets("layers", "l", name="Mine"), ("layer_update", "l", {"name": "Mine"})),
    (drops("layers", "l"), ("layer_delete", "l", None)),
]


@pytest.mark.parametrize(("act", "expected"), NINE, ids=[expected[0] for _, expected in NINE])
async def test_CAPTURE_1_each_of_the_nine_operations_becomes_an_edit(
    act: object, expected: object, ada: Person, follower: Follower, owner: asyncpg.Connection
) -> None:
    """CAPTURE-1: after the base, which is none."""
    await caught_up(follower)
    assert await edits(owner, ada.graph_id) == []

    await ada.does(act)  # type: ignore[arg-type]
    await caught_up(follower)

    (edit,) = await edits(owner, ada.graph_id)
    assert told(edit) == expected
    assert (edit["is_active"], edit["created_by"], edit["number"]) == (True, ANONYMOUS_USER_ID, 1)
    assert edit["context_data"]["session_id"] == "s"


async def test_CAPTURE_1_layout_replays_and_graphs_without_a_base_make_no_edits(
    ada: Person, follower: Follower, database: Database, owner: asyncpg.Connection
) -> None:
    """CAPTURE-1: neither first nor later."""
    await ada.does(sets("nodes", "a", position={"x": 1, "y": 2}))
    with ada.doc.transaction():
        sets("nodes", "a", label="computed")(ada)
    await ada.send(ada.updates.pop(), session="replay")
    plain = await new_graph(database)
    await store(database, plain, nodes("x"))

    await caught_up(follower)

    assert await owner.fetchval("SELECT count(*) FROM manual_edits") == 0


async def test_CAPTURE_2_an_edit_sent_again_by_another_belongs_to_who_made_it(
    ada: Person, ben: Person, follower: Follower, owner: asyncpg.Connection
) -> None:
    """CAPTURE-2: also where one update has both people's, of whom one went on with what the other did."""
    await ada.does(sets("nodes", "a", label="Ada's"))
    await ben.does(sets("nodes", "b", label="Ben's"))
    await caught_up(follower)
    sets("nodes", "a", comment="Ada's")(ada)
    (hers,) = ada.updates
    ben.doc.apply_update(ada.doc.get_update())
    ben.updates.clear()
    with ben.doc.transaction():
        sets("nodes", "b", comment="Ben's")(ben)
        sets("nodes", "a", layer="l")(ben)
    await ben.send(merge_updates(hers, ben.updates.pop()))
    await ben.does(drops("edges", "ab"))

    await caught_up(follower)

    found = {(told(edit), edit["created_by"]) for edit in map(_hashable, await edits(owner, ada.graph_id))}
    assert found == {
        (("node_update", "a", "label=Ada's"), ada.user_id),
        (("node_update", "a", "comment=Ada's"), ada.user_id),
        (("node_update", "a", "layer=l"), ben.user_id),
        (("node_update", "b", "comment=Ben's label=Ben's"), ben.user_id),
        (("edge_delete", "ab", None), ben.user_id),
    }


def _hashable(edit: dict[str, object]) -> dict[str, object]:
    data = edit["operation_data"]
    values = data.get("new_values") if isinstance(data, dict) else None
    short = " ".join(f"{name}={value}" for name, value in sorted(values.items())) if values else None
    return edit | {"operation_data": {"new_values": short}}


async def test_CAPTURE_3_one_persons_typing_is_one_edit_until_somebody_else_comes(
    ada: Person, ben: Person, follower: Follower, owner: asyncpg.Connection
) -> None:
    """CAPTURE-3."""
    await ada.does(*(sets("nodes", "a", label="Mine"[:end]) for end in range(1, 5)))
    await caught_up(follower)
    await ada.does(sets("nodes", "a", label="Mine!"))
    await caught_up(follower)
    (edit,) = await edits(owner, ada.graph_id)
    assert told(edit) == ("node_update", "a", {"label": "Mine!"})
    assert edit["operation_data"]["old_values"] == {"label": "A"}

    await ben.does(sets("nodes", "a", comment="hm"))
    await ada.does(sets("nodes", "a", layer="l"))
    await caught_up(follower)

    told_then = [told(edit)[2] for edit in await edits(owner, ada.graph_id)]
    assert told_then == [{"label": "Mine!"}, {"comment": "hm"}, {"layer": "l"}]


async def test_CAPTURE_4_only_what_is_left_stays_active(
    ada: Person, ben: Person, follower: Follower, owner: asyncpg.Connection
) -> None:
    """CAPTURE-4: overwritten, taken back, created and deleted again."""
    await ada.does(sets("nodes", "a", label="Ada's"), adds("nodes", "n", label="N"))
    await ben.joined(ada)
    await ben.does(sets("nodes", "a", label="Ben's"), sets("nodes", "b", label="b"))
    await caught_up(follower)
    await ada.joined(ben)
    await ada.does(drops("nodes", "n"), sets("nodes", "b", label="B"))
    await caught_up(follower)

    found = [(told(edit)[:2], edit["deactivation_reason"]) for edit in await edits(owner, ada.graph_id)]
    active = [entity for entity, reason in found if reason is None]
    assert active == [("node_update", "a")]
    assert {reason for entity, reason in found if entity == ("node_create", "n")} <= {"cancelled_out", "superseded"}
    assert (("node_update", "a"), "superseded") in found


async def test_CAPTURE_5_rows_that_are_remade_make_no_edit_again(
    ada: Person, projection: Projection, database: Database, owner: asyncpg.Connection
) -> None:
    """CAPTURE-5: whether or not there is a compacted state, and what came meanwhile is captured."""
    settings = FollowerSettings(compaction_operations=1)
    await ada.does(sets("nodes", "a", label="one"))
    await caught_up(Follower(projection, BEGIN_CAPTURE, Clock(), settings))
    for label in ("two", "three"):
        follower = Follower(projection, BEGIN_CAPTURE, Clock(), settings)
        await follower.release(ada.graph_id)
        await projection.release(ada.graph_id)
        await Rebuilding(database).reset(ada.graph_id)
        await ada.does(sets("nodes", "b", label=label))
        await caught_up(follower)
        await follower.release(ada.graph_id)

    found = [(told(edit)[1:], edit["is_active"]) for edit in await edits(owner, ada.graph_id)]
    assert found[0] == (("a", {"label": "one"}), True)
    assert [values for values, is_active in found if is_active] == [("a", {"label": "one"}), ("b", {"label": "three"})]


async def test_CAPTURE_6_edits_that_somebody_changed_meanwhile_are_read_again(
    ada: Person, database: Database, owner: asyncpg.Connection
) -> None:
    """CAPTURE-6: one that was switched off is no more gone on with."""

    class Contested(Projection):
        refused = 0

        async def project(self, step: ProjectionStep) -> bool:
            if self.refused == 0 and step.edits is not None and step.edits.changed:
                await owner.execute("UPDATE graph_bases SET version = version + 1")
                await owner.execute(SWITCH_OFF)
            try:
                return await super().project(step)
            except EditsChangedError:
                self.refused += 1
                raise

    projection = Contested(database)
    follower = Follower(projection, BEGIN_CAPTURE, Clock())
    await ada.does(sets("nodes", "a", label="one"))
    await caught_up(follower)
    await ada.does(sets("nodes", "a", label="two"))
    await caught_up(follower)
    await projection.close()

    first, second = await edits(owner, ada.graph_id)
    assert projection.refused == 1
    assert (first["deactivation_reason"], told(first)[2]) == ("by hand", {"label": "one"})
    assert (second["is_active"], told(second)[2]) == (True, {"label": "two"})


async def test_CAPTURE_7_what_was_made_in_something_deleted_is_kept_for_the_next_summary(
    ada: Person, ben: Person, follower: Follower, owner: asyncpg.Connection
) -> None:
    """CAPTURE-7."""
    await ada.does(drops("nodes", "a"))
    await ben.does(sets("nodes", "a", label="too late"))
    await caught_up(follower)

    unseen = await owner.fetchval("SELECT unseen_operations #>> '{0,user_id}' FROM graph_bases")
    assert UUID(unseen) == ben.user_id
    assert [told(edit)[0] for edit in await edits(owner, ada.graph_id)] == ["node_delete"]


async def test_CAPTURE_8_an_operation_that_waited_is_its_own_authors(
    ada: Person, ben: Person, follower: Follower, owner: asyncpg.Connection
) -> None:
    """CAPTURE-8: whoever brings what it waited for."""
    for act in (adds("nodes", "n", label="N"), sets("nodes", "n", label="Mine")):
        with ada.doc.transaction():
            act(ada)
    first, second = ada.updates
    await ada.send(second)
    await caught_up(follower)
    assert await edits(owner, ada.graph_id) == []

    await ben.send(first)
    await caught_up(follower)

    found = await edits(owner, ada.graph_id)
    assert {edit["created_by"] for edit in found} == {ben.user_id}  # who first used the client
    assert found[0]["operation_data"]["node"]["label"] == "Mine"
