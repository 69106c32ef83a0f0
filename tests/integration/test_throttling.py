"""Guessing is slow, and keeps nobody out."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from auth.throttling import ACCOUNT, ACCOUNT_AND_PLACE, DEVICE, PLACE, Limit
from persistence.database import Database
from persistence.people_records import Bucket
from persistence.throttles import MAX_BUCKETS, Throttles
from tests.integration.people import PASSWORD, Town, town

WRONG = "incorrect horse battery"
HOME, ATTACKER = "127.0.0.1", "127.0.0.66"
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
BUCKET = Bucket(b"b" * 32, 3.0, 1 / 10)


@pytest.fixture
async def served(database: Database, database_url: str) -> AsyncIterator[Town]:
    async with town(database, database_url) as served:
        await served.add("Ada")
        yield served


async def guesses(served: Town, number: int, address: str = ATTACKER, username: str = "Ada") -> list[httpx.Response]:
    return [await served.login(username, WRONG, address) for _ in range(number)]


async def fill(served: Town, limit: Limit, *counted: object) -> None:
    """Fill a bucket, as so many wrong passwords would."""
    insert = """
        INSERT INTO sign_in_throttles (key, level, updated_at) VALUES ($1, $2, now())
        ON CONFLICT (key) DO UPDATE SET level = $2, updated_at = now()
    """
    await served.owner.execute(insert, limit.bucket(*counted).key, float(limit.attempts))


@pytest.mark.parametrize("username", ["Ada", "nobody"])
async def test_AUTH_15_the_eleventh_guess_from_a_place_is_told_to_wait(served: Town, username: str) -> None:
    answers = await guesses(served, ACCOUNT_AND_PLACE.attempts + 1, username=username)

    assert [answer.status_code for answer in answers] == [401] * ACCOUNT_AND_PLACE.attempts + [429]
    assert answers[-1].json()["code"] == "too_many_requests"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert (await served.login(username, PASSWORD, ATTACKER)).status_code == 429, "a right one, too"


async def test_AUTH_15_after_the_wait_another_one_may_be_tried(served: Town) -> None:
    await guesses(served, ACCOUNT_AND_PLACE.attempts + 1)
    await served.shift(seconds=61)

    assert [answer.status_code for answer in await guesses(served, 2)] == [401, 429]
    await served.shift(seconds=61)
    assert (await served.login("Ada", PASSWORD, ATTACKER)).status_code == 200
    answers = await guesses(served, ACCOUNT_AND_PLACE.attempts)
    assert {answer.status_code for answer in answers} == {401}, "a right one empties the count"


async def test_AUTH_15_a_restart_forgets_nothing(database: Database, database_url: str) -> None:
    async with town(database, database_url) as served:
        await served.add("Ada")
        await guesses(served, ACCOUNT_AND_PLACE.attempts)
    async with town(database, database_url) as served:
        assert [answer.status_code for answer in await guesses(served, 1)] == [429]


async def test_AUTH_15_a_place_is_counted_for_all_accounts(served: Town) -> None:
    await fill(served, PLACE, "place", f"{ATTACKER}/32")

    assert (await served.login("somebody else", WRONG, ATTACKER)).status_code == 429
    assert (await served.login("somebody else", WRONG, HOME)).status_code == 401


async def test_AUTH_15_an_account_is_counted_for_all_places_together(served: Town) -> None:
    await fill(served, ACCOUNT, "account", "ada")

    answer = await served.login("Ada", PASSWORD, "127.0.0.77")

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) <= 60


async def test_AUTH_16_nobody_is_kept_out_by_what_others_try_elsewhere(served: Town) -> None:
    assert (await served.login("Ada", PASSWORD, HOME)).status_code == 200
    await fill(served, ACCOUNT, "account", "ada")
    await guesses(served, ACCOUNT_AND_PLACE.attempts + 1)

    assert (await served.login("Ada", PASSWORD, HOME)).status_code == 200
    assert (await served.login("Ada", WRONG, HOME)).status_code == 401, "and is not told to wait for a typing error"


async def test_AUTH_16_a_known_device_comes_in_from_everywhere(served: Town) -> None:
    travelling = "127.0.0.88"
    signed_in = await served.login("Ada", PASSWORD, HOME)
    device = {"layercake_device": signed_in.cookies["layercake_device"]}
    await fill(served, ACCOUNT, "account", "ada")
    await fill(served, PLACE, "place", f"{travelling}/32")
    await served.add("Eve")

    async def login(username: str, password: str) -> int:
        async with served.client(address=travelling) as client:
            client.cookies.update(device)
            body = {"username": username, "password": password}
            return (await client.post("/api/auth/login", json=body)).status_code

    assert (await served.login("Ada", PASSWORD, travelling)).status_code == 429
    assert await login("Ada", PASSWORD) == 200
    assert await login("Eve", PASSWORD) == 429, "it is the device of one person"
    statuses = [await login("Ada", WRONG) for _ in range(DEVICE.attempts + 1)]
    assert statuses == [401] * DEVICE.attempts + [429]


async def test_AUTH_16_an_access_token_is_no_device_cookie(served: Town) -> None:
    tokens = await served.tokens("Ada")
    await fill(served, ACCOUNT, "account", "ada")
    async with served.client(address="127.0.0.99") as client:
        for forged in (tokens["access_token"], "x", "a.b.c"):
            client.cookies.set("layercake_device", forged)
            answer = await client.post("/api/auth/login", json={"username": "Ada", "password": PASSWORD})
            assert answer.status_code == 429


async def test_AUTH_17_many_guesses_at_once_do_not_get_by(served: Town) -> None:
    answers = await asyncio.gather(*(served.login("Ada", WRONG, ATTACKER) for _ in range(25)))

    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 15


async def test_AUTH_17_people_behind_one_address_are_not_in_each_others_way(served: Town) -> None:
    for number in range(12):
        await served.add(f"Person {number}")
    for _ in range(2):
        answers = await asyncio.gather(*(served.login(f"Person {number}") for number in range(12)))
        assert {answer.status_code for answer in answers} == {200}

    assert await served.owner.fetchval("SELECT max(level) FROM sign_in_throttles") == 0


async def test_AUTH_18_a_refusal_is_written_down_once_a_minute_for_each_account_and_place(served: Town) -> None:
    await guesses(served, 12)
    await guesses(served, 2, HOME)
    await guesses(served, 2, username="nobody")
    await guesses(served, 2, username="somebody")

    assert await served.audited() == [
        ("session.refused", "wrong_password"),
        ("session.refused", "wrong_password"),
        ("session.refused", "unknown_user"),
    ]


async def test_AUTH_15_a_bucket_leaks_and_says_how_long_it_is_full(database: Database) -> None:
    throttles, second = Throttles(database), timedelta(seconds=1)

    assert [await throttles.pour([BUCKET], NOW) for _ in range(4)] == [0, 0, 0, pytest.approx(10)]
    assert await throttles.pour([BUCKET], NOW + 4 * second) == pytest.approx(6)
    assert await throttles.pour([BUCKET], NOW + 10 * second) == 0
    assert await throttles.pour([BUCKET], NOW + 10 * second) == pytest.approx(10)
    assert await throttles.pour([BUCKET], NOW - 3600 * second) == pytest.approx(10), (
        "a clock that goes back adds nothing"
    )
    assert [await throttles.pour([BUCKET], NOW + 3600 * second) for _ in range(3)] == [0, 0, 0]


async def test_AUTH_17_what_one_bucket_refuses_no_other_counts(database: Database) -> None:
    throttles = Throttles(database)
    first = Bucket(b"a" * 32, 10.0, 1.0)
    for _ in range(3):
        await throttles.pour([BUCKET], NOW)
    assert await throttles.pour([first, BUCKET], NOW) > 0

    assert [await throttles.pour([first], NOW) for _ in range(10)] == [0] * 10, "none was counted before"


async def test_AUTH_17_counts_are_forgotten(served: Town, database: Database) -> None:
    many = """
        INSERT INTO sign_in_throttles (key, level, updated_at)
        SELECT sha256(i::text::bytea), 1, $1::timestamptz - i * interval '1 millisecond' FROM generate_series(1, $2) i
    """
    await served.owner.execute(many, NOW, MAX_BUCKETS + 50)
    throttles = Throttles(database)
    count = "SELECT count(*) FROM sign_in_throttles"

    await throttles.forget(NOW)
    assert await served.owner.fetchval(count) == MAX_BUCKETS + 1
    await throttles.forget(NOW + timedelta(hours=3))
    assert await served.owner.fetchval(count) == 0
