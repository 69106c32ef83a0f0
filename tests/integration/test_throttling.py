"""Guessing is slow, and keeps nobody out."""

import asyncio

import pytest

from auth.throttling import ACCOUNT, ACCOUNT_AND_PLACE, DEVICE, PLACE, Limit
from tests.integration.people import ATTACKER, HOME, PASSWORD, WRONG, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def served(adas_town: Town) -> Town:
    """The server, as if Ada alone had an account."""
    return adas_town


async def fill(served: Town, limit: Limit, *counted: object) -> None:
    """Fill a bucket, as so many wrong passwords would."""
    insert = """
        INSERT INTO sign_in_throttles (key, level, updated_at) VALUES ($1, $2, now())
        ON CONFLICT (key) DO UPDATE SET level = $2, updated_at = now()
    """
    await served.owner.execute(insert, limit.bucket(*counted).key, float(limit.attempts))


@pytest.mark.parametrize("username", ["Ada", "nobody"])
async def test_AUTH_15_the_eleventh_guess_from_a_place_is_told_to_wait(served: Town, username: str) -> None:
    answers = await served.guess(ACCOUNT_AND_PLACE.attempts + 1, username=username)

    assert [answer.status_code for answer in answers] == [401] * ACCOUNT_AND_PLACE.attempts + [429]
    assert answers[-1].json()["code"] == "too_many_requests"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert (await served.login(username, PASSWORD, ATTACKER)).status_code == 429, "a right one, too"


async def test_AUTH_15_after_the_wait_another_one_may_be_tried(served: Town) -> None:
    await served.guess(ACCOUNT_AND_PLACE.attempts + 1)
    await served.shift(seconds=61)

    assert [answer.status_code for answer in await served.guess(2)] == [401, 429]
    await served.shift(seconds=61)
    assert (await served.login("Ada", PASSWORD, ATTACKER)).status_code == 200
    answers = await served.guess(ACCOUNT_AND_PLACE.attempts)
    assert {answer.status_code for answer in answers} == {401}, "a right one empties the count"


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
    await served.guess(ACCOUNT_AND_PLACE.attempts + 1)

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
    await served.guess(12)
    await served.guess(2, HOME)
    await served.guess(2, username="nobody")
    await served.guess(2, username="somebody")

    assert await served.audited() == [
        ("session.refused", "wrong_password"),
        ("session.refused", "wrong_password"),
        ("session.refused", "unknown_user"),
    ]
