"""The rows of projects, on a real PostgreSQL: rules STORE-1 to STORE-5 of SPEC.md."""

from uuid import UUID, uuid4

import pytest

from persistence.database import Database
from persistence.errors import InvalidValueError, NotFoundError
from persistence.projects import Projects
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, SYSTEM_USER_ID, Retitle

ME = ANONYMOUS_USER_ID


@pytest.fixture
def projects(database: Database) -> Projects:
    return Projects(database)


async def test_a_created_project_is_read_back_as_it_was_answered(projects: Projects) -> None:
    """IMPORT-1 needs it."""
    created = await projects.create(ME, EVERYONE_GROUP_ID, "Bridge", "over the river")

    assert await projects.read(ME, created.id) == created
    print(created)
