"""The rows of projects on a real PostgreSQL: what `persistence.projects.Projects` promises, DOOR-24 to DOOR-26."""

from uuid import UUID, uuid4

import asyncpg
import pytest

from persistence.database import Database
from persistence.errors import InvalidValueError, NotFoundError
from persistence.projects import Projects
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, SYSTEM_USER_ID, Caller, Retitle

ME = Caller(ANONYMOUS_USER_ID)
SOMEBODY_ELSE = Caller(SYSTEM_USER_ID)


@pytest.fixture
def projects(database: Database) -> Projects:
    return Projects(database)


async def join(database_url: str, who: Caller, group_name: str, role: str) -> UUID:
    """Make a group with one member and return it."""
    connection = await asyncpg.connect(database_url)
    try:
        group_id = uuid4()
        await connection.execute("INSERT INTO groups (id, name) VALUES ($1, $2)", group_id, group_name)
        await connection.execute(
            "INSERT INTO group_memberships (group_id, user_id, role) VALUES ($1, $2, $3)", group_id, who.user_id, role
        )
    finally:
        await connection.close()
    return group_id


async def test_a_created_project_is_read_as_it_was_answered(projects: Projects) -> None:
    created = await projects.create(ME, EVERYONE_GROUP_ID, "Bridge", "over the river")

    assert (created.name, created.description, created.group_id) == ("Bridge", "over the river", EVERYONE_GROUP_ID)
    assert created.created_at == created.updated_at
    assert created.id.version == 7
    assert await projects.read(ME, created.id) == created


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "two\nlines", "\u2003"])
async def test_a_bad_name_is_refused(projects: Projects, name: str) -> None:
    with pytest.raises(InvalidValueError) as raised:
        await projects.create(ME, EVERYONE_GROUP_ID, name, None)

    assert raised.value.constraint == "ck_projects_name"


async def test_one_sees_the_projects_of_ones_groups_oldest_first(projects: Projects, database_url: str) -> None:
    """DOOR-24."""
    theirs = await join(database_url, SOMEBODY_ELSE, "Theirs", "admin")
    mine = [await projects.create(ME, EVERYONE_GROUP_ID, name, None) for name in ("c", "a", "b")]
    hidden = await projects.create(SOMEBODY_ELSE, theirs, "hidden", None)

    assert await projects.of_user(ME) == tuple(mine)
    assert await projects.of_user(SOMEBODY_ELSE) == (hidden,)


async def test_the_role_in_a_project_is_the_one_in_its_group(projects: Projects, database_url: str) -> None:
    theirs = await join(database_url, SOMEBODY_ELSE, "Theirs", "member")
    project = await projects.create(SOMEBODY_ELSE, theirs, "hidden", None)

    assert await projects.role_in_project(SOMEBODY_ELSE, project.id) == "member"
    assert await projects.role_in_project(ME, project.id) is None
    assert await projects.role_in_project(ME, uuid4()) is None


async def test_the_groups_of_a_user_come_in_the_order_they_joined(projects: Projects, database_url: str) -> None:
    second = await join(database_url, ME, "A second one", "viewer")

    assert await projects.groups_of(ME) == ((EVERYONE_GROUP_ID, "admin"), (second, "viewer"))


async def test_a_change_touches_only_what_it_names(projects: Projects) -> None:
    """DOOR-25."""
    created = await projects.create(ME, EVERYONE_GROUP_ID, "Bridge", "old")

    renamed = await projects.change(ME, created.id, Retitle("Ferry", None, keep_description=True))
    assert (renamed.name, renamed.description) == ("Ferry", "old")
    assert renamed.updated_at > created.updated_at
    emptied = await projects.change(ME, created.id, Retitle(None, None, keep_description=False))
    assert (emptied.name, emptied.description) == ("Ferry", None)
    assert await projects.read(ME, created.id) == emptied


async def test_a_deleted_project_is_absent(projects: Projects) -> None:
    """DOOR-26."""
    project = await projects.create(ME, EVERYONE_GROUP_ID, "Bridge", None)
    await projects.delete(ME, project.id)

    assert await projects.of_user(ME) == ()
    assert await projects.role_in_project(ME, project.id) is None
    for attempt in (
        projects.read(ME, project.id),
        projects.delete(ME, project.id),
        projects.change(ME, project.id, Retitle("x", None, keep_description=True)),
    ):
        with pytest.raises(NotFoundError):
            await attempt
