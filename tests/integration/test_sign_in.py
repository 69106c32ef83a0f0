"""Signing in, staying signed in and signing out, over HTTP."""

import asyncio

import asyncpg
import httpx
import jwt
import pytest
from argon2 import PasswordHasher

from auth.passwords import Passwords
from tests.integration.people import PASSWORD, WRONG, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def served(adas_town: Town) -> Town:
    """The server, as if Ada alone had an account."""
    return adas_town


async def refreshed(served: Town, refresh_token: str) -> httpx.Response:
    async with served.client() as client:
        return await client.post("/api/auth/refresh", json={"refresh_token": refresh_token})


async def test_AUTH_8_who_signs_in_is_known_by_the_token(served: Town) -> None:
    answer = await served.login("ada")
    tokens = answer.json()

    assert answer.status_code == 200
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 600)
    assert answer.headers["cache-control"] == "no-store"
    known = (await served.me(tokens["access_token"])).json()
    assert (known["username"], known["name"], known["credential"], known["is_admin"]) == (
        "Ada",
        "Ada",
        "session",
        False,
    )
    assert known["scopes"] == ["read", "edit", "manage"]
    assert [(group["name"], group["role"]) for group in known["groups"]] == [("Everyone", "member")]
    assert known["graph"] is None


async def test_AUTH_2_unknown_wrong_and_disabled_are_answered_the_same(
    served: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[bool] = []
    verify = Passwords.verify

    async def counted(self: Passwords, stored: str | None, password: str) -> bool:
        checked.append(stored is None)
        return await verify(self, stored, password)

    monkeypatch.setattr(Passwords, "verify", counted)
    gone = await served.add("Gone")
    await served.owner.execute("UPDATE users SET is_active = false WHERE id = $1", gone)

    answers = [await served.login("nobody"), await served.login("Ada", WRONG), await served.login("Gone")]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}
    assert checked == [True, False, False], "each is one password's work"
    assert await served.audited() == [
        ("session.refused", "unknown_user"),
        ("session.refused", "wrong_password"),
        ("session.refused", "disabled"),
    ]


async def test_AUTH_3_a_password_is_hashed_anew_when_its_parameters_are_old(served: Town) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=16, parallelism=1).hash(PASSWORD)
    await served.owner.execute("UPDATE users SET password_hash = $1 WHERE username = 'Ada'", old)

    assert (await served.login("Ada", WRONG)).status_code == 401
    assert await served.owner.fetchval("SELECT password_hash FROM users WHERE username = 'Ada'") == old
    assert (await served.login("Ada")).status_code == 200
    anew = await served.owner.fetchval("SELECT password_hash FROM users WHERE username = 'Ada'")

    assert "m=16," in old
    assert "m=8,t=1,p=1" in anew
    assert (await served.login("Ada")).status_code == 200


async def test_AUTH_9_a_refresh_gives_a_new_pair_and_the_old_token_is_spent(served: Town) -> None:
    first = await served.tokens("Ada")
    second = (await refreshed(served, first["refresh_token"])).json()

    assert second["refresh_token"] != first["refresh_token"]
    assert (await served.me(second["access_token"])).status_code == 200
    third = await refreshed(served, second["refresh_token"])
    assert third.status_code == 200


async def test_AUTH_10_a_spent_token_ends_its_session(served: Town) -> None:
    first = await served.tokens("Ada")
    other = await served.tokens("Ada")
    second = (await refreshed(served, first["refresh_token"])).json()

    replayed = await refreshed(served, first["refresh_token"])

    assert replayed.status_code == 401
    assert (await served.me(second["access_token"])).status_code == 401
    assert (await refreshed(served, second["refresh_token"])).status_code == 401
    assert (await served.me(other["access_token"])).status_code == 200, "other sessions go on"
    assert ("session.reuse_detected", "spent_refresh_token") in await served.audited()


async def test_AUTH_10_of_many_that_refresh_at_once_one_wins_and_the_session_ends(served: Town) -> None:
    tokens = await served.tokens("Ada")

    answers = await asyncio.gather(*(refreshed(served, tokens["refresh_token"]) for _ in range(6)))

    won = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 5
    assert (await served.me(won[0]["access_token"])).status_code == 401
    assert [action for action, _ in await served.audited()].count("session.reuse_detected") == 1


@pytest.mark.parametrize("token", ["", "lcr_", "lcr_" + "A" * 43, "x", "lcp_" + "A" * 43])
async def test_AUTH_10_what_is_no_refresh_token_opens_nothing(served: Town, token: str) -> None:
    answer = await refreshed(served, token)

    assert answer.status_code in {401, 422}
    assert await served.audited() == []


async def test_AUTH_9_a_session_that_is_not_refreshed_in_time_ends(served: Town) -> None:
    tokens = await served.tokens("Ada")
    await served.owner.execute(
        "UPDATE sessions SET created_at = now() - interval '40 days', expires_at = now() - interval '1 second'"
    )

    assert (await served.me(tokens["access_token"])).status_code == 401
    assert (await refreshed(served, tokens["refresh_token"])).status_code == 401


async def test_AUTH_11_a_signed_out_token_is_refused_at_once(served: Town) -> None:
    tokens = await served.tokens("Ada")
    async with served.client(tokens["access_token"]) as client:
        assert (await client.post("/api/auth/logout")).status_code == 204

    assert (await served.me(tokens["access_token"])).status_code == 401
    assert (await refreshed(served, tokens["refresh_token"])).status_code == 401
    assert await served.audited() == [("session.signed_in", None), ("session.signed_out", None)]


async def test_AUTH_11_signing_out_needs_the_refresh_token_only_and_nobody_may(served: Town) -> None:
    tokens = await served.tokens("Ada")
    async with served.client() as client:
        assert (await client.post("/api/auth/logout")).status_code == 204
        assert (await served.me(tokens["access_token"])).status_code == 200
        out = await client.post("/api/auth/logout", json={"refresh_token": tokens["refresh_token"]})

    assert out.status_code == 204
    assert (await served.me(tokens["access_token"])).status_code == 401


async def test_AUTH_12_a_disabled_person_is_refused_by_every_token(served: Town) -> None:
    tokens = await served.tokens("Ada")
    await served.owner.execute("UPDATE users SET is_active = false WHERE username = 'Ada'")

    assert (await served.me(tokens["access_token"])).status_code == 401
    assert (await refreshed(served, tokens["refresh_token"])).status_code == 401


async def test_AUTH_6_a_token_of_another_installation_is_refused(served: Town) -> None:
    tokens = await served.tokens("Ada")
    header = jwt.get_unverified_header(tokens["access_token"])
    del header["alg"]
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    theirs = jwt.encode(claims, b"t" * 32, "HS256", header)

    assert (await served.me(theirs)).status_code == 401
    assert (await served.me(jwt.encode(claims, None, "none", header))).status_code == 401
    assert (await served.me(tokens["access_token"])).status_code == 200


async def test_AUTH_13_garbage_costs_no_statement(served: Town) -> None:
    await served.tokens("Ada")
    await served.owner.execute("ALTER TABLE sessions RENAME TO sessions_away")
    await served.owner.execute("ALTER TABLE personal_access_tokens RENAME TO tokens_away")

    for token in ("x", "a.b.c", "lcr_" + "A" * 43, "lci_x", jwt.encode({"iss": "layercake"}, b"x" * 32)):
        assert (await served.me(token)).status_code == 401
    await served.owner.execute("ALTER TABLE sessions_away RENAME TO sessions")
    await served.owner.execute("ALTER TABLE tokens_away RENAME TO personal_access_tokens")


async def test_AUTH_14_no_secret_is_stored_or_logged(served: Town, capfd: pytest.CaptureFixture[str]) -> None:
    tokens = await served.tokens("Ada")
    await served.login("Ada", WRONG)
    second = (await refreshed(served, tokens["refresh_token"])).json()
    await refreshed(served, tokens["refresh_token"])
    async with served.client() as client:
        strange = await client.post("/api/auth/login", json={"username": "Ada", "password": ["secret horse", PASSWORD]})

    secrets = [PASSWORD, WRONG, *(one[name] for one in (tokens, second) for name in ("access_token", "refresh_token"))]
    written = "".join(capfd.readouterr()) + await dumped(served.owner) + strange.text
    assert not [secret for secret in secrets if secret in written]
    assert "session.signed_in" in written, "or the test looks at nothing"


async def dumped(owner: asyncpg.Connection) -> str:
    names = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return "".join([str(await owner.fetch(f"SELECT t::text FROM {row['tablename']} t")) for row in names])
