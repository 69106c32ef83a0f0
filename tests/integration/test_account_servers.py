"""Accounts across servers: several at once, one after the other, and one that is open."""

import asyncio
import threading

import jwt
from argon2 import PasswordHasher

from auth.throttling import ACCOUNT_AND_PLACE
from persistence.database import Database
from persistence.signing_keys import SigningKeys
from server.app import bind, running
from server.door import everyone_is_admin
from server.settings import Settings
from tests.integration.people import town
from tests.integration.served import Served

WAIT_S = 20


class Held(PasswordHasher):
    """A hasher that checks passwords when it is let go."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.began, self.let_go = threading.Event(), threading.Event()

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002 - as in the class above
        self.began.set()
        assert self.let_go.wait(WAIT_S)
        return super().verify(hash, password)


async def test_AUTH_4_when_too_many_passwords_wait_the_next_is_told_to_come_back(
    database: Database, database_url: str
) -> None:
    hasher = Held()
    async with town(database, database_url, hasher, passwords_waiting=1) as served:
        await served.add("Ada")
        first = asyncio.create_task(served.login("Ada"))
        assert await asyncio.to_thread(hasher.began.wait, WAIT_S)
        second = await served.login("Ada")
        assert (await served.me(None)).status_code == 401, "others are served meanwhile"
        hasher.let_go.set()
        assert (await first).status_code == 200
        assert (await served.login("Ada")).status_code == 200

    assert (second.status_code, second.json()["code"]) == (503, "busy")
    assert int(second.headers["retry-after"]) > 0


async def test_AUTH_5_servers_that_start_at_once_agree_on_a_key(database: Database, database_url: str) -> None:
    found = await asyncio.gather(*(SigningKeys(database).all() for _ in range(4)))

    assert len(set(found)) == 1
    assert len(found[0]) == 1


async def test_AUTH_5_the_newest_key_signs_and_older_ones_verify(database: Database, database_url: str) -> None:
    async with town(database, database_url) as served:
        await served.add("Ada")
        old = await served.tokens("Ada")
        await served.owner.execute(
            "INSERT INTO signing_keys (id, secret) VALUES ('ffffffff-ffff-7fff-bfff-ffffffffffff', $1)", b"n" * 32
        )
    async with town(database, database_url) as served:
        new = await served.tokens("Ada")
        assert jwt.get_unverified_header(new["access_token"])["kid"].startswith("ffffffff")
        for tokens in (old, new):
            assert (await served.me(tokens["access_token"])).status_code == 200


async def test_AUTH_11_a_session_that_ends_at_one_server_has_ended_at_every_other(
    database: Database, database_url: str
) -> None:
    async with town(database, database_url) as here, town(database, database_url) as there:
        await here.add("Ada")
        tokens = await here.tokens("Ada")
        assert (await there.me(tokens["access_token"])).status_code == 200
        async with here.client() as client:
            await client.post("/api/auth/logout", json={"refresh_token": tokens["refresh_token"]})
        assert (await there.me(tokens["access_token"])).status_code == 401


async def test_AUTH_15_a_restart_forgets_nothing(database: Database, database_url: str) -> None:
    async with town(database, database_url) as served:
        await served.add("Ada")
        await served.guess(ACCOUNT_AND_PLACE.attempts)
    async with town(database, database_url) as served:
        assert [answer.status_code for answer in await served.guess(1)] == [429]


async def test_AUTH_24_with_open_everyone_is_the_operator(database: Database) -> None:
    with bind("127.0.0.1", 0) as bound:
        async with (
            running(Settings(open=True), database, everyone_is_admin, bound) as listener,
            Served(listener.port).http(None) as operator,
        ):
            known = (await operator.get("/api/auth/me")).json()
            assert (await operator.get("/api/auth/sessions")).status_code == 403
    assert (known["credential"], known["is_admin"], known["expires_at"]) == ("open", True, None)
    assert known["username"] == "anonymous"
