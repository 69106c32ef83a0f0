"""ISO-14: rights that end after a door has asked for them."""

import httpx
from fastapi import FastAPI

from persistence.database import Database
from persistence.identifiers import new_id
from persistence.projects import Projects
from persistence.records import EVERYONE_GROUP_ID, Caller, Project
from server.http import problems


async def test_ISO_14_what_the_database_does_not_let_one_do_any_more_is_403(database: Database) -> None:
    app = FastAPI()
    problems.install(app)

    @app.post("/late")
    async def create() -> Project:
        return await Projects(database).create(Caller(new_id()), EVERYONE_GROUP_ID, "Bridge", None)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door") as client:
        answer = await client.post("/late")

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    async with database.service() as connection:
        assert await connection.fetchval("SELECT count(group_id) FROM projects") == 0
