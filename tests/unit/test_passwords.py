"""Passwords: hashed beside the loop, with the same work for nobody's."""

import asyncio
import os
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from auth.errors import PasswordsBusyError
from auth.passwords import HASHER, Passwords

RIGHT, WRONG = "correct horse battery", "incorrect horse battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Counted(PasswordHasher):
    """A cheap hasher that notes whose hashes it checked."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.checked: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002 - as in the class above
        self.checked.append(str(hash))
        return super().verify(hash, password)


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    opened = Passwords(4, CHEAP)
    yield opened
    opened.close()


async def test_AUTH_1_a_hash_opens_for_its_password_only(passwords: Passwords) -> None:
    stored = await passwords.hash(RIGHT)

    assert stored.startswith("$argon2id$v=19$")
    assert await passwords.verify(stored, RIGHT)
    assert not await passwords.verify(stored, WRONG)
    assert stored != await passwords.hash(RIGHT)


async def test_AUTH_1_what_is_no_hash_opens_for_nothing(passwords: Passwords) -> None:
    assert not await passwords.verify("", "")
    assert not await passwords.verify("plain", "plain")


def test_AUTH_1_the_parameters_are_those_of_owasp() -> None:
    assert (HASHER.memory_cost, HASHER.time_cost, HASHER.parallelism) == (19 * 1024, 2, 1)


async def test_AUTH_1_a_letter_may_be_typed_in_either_of_its_forms(passwords: Passwords) -> None:
    assert await passwords.verify(
        await passwords.hash("caf\u00e9 caf\u00e9 caf\u00e9"), "cafe\u0301 cafe\u0301 cafe\u0301"
    )


async def test_AUTH_2_nobodys_password_takes_the_same_work() -> None:
    hasher = Counted()
    passwords = Passwords(4, hasher)
    stored = await passwords.hash(RIGHT)

    assert not await passwords.verify(stored, WRONG)
    assert not await passwords.verify(None, WRONG)

    somebodys, nobodys = (one.rpartition("$")[0].rpartition("$")[0] for one in hasher.checked)
    assert somebodys == nobodys, "parameters are the same"
    passwords.close()


async def test_AUTH_4_a_password_over_the_bound_is_refused_at_once(passwords: Passwords) -> None:
    four = [asyncio.create_task(passwords.verify(None, RIGHT)) for _ in range(4)]
    await asyncio.sleep(0)

    with pytest.raises(PasswordsBusyError):
        await passwords.verify(None, RIGHT)
    await asyncio.gather(*four)
    assert await passwords.verify(await passwords.hash(RIGHT), RIGHT)


async def test_AUTH_4_new_passwords_leave_half_of_the_places_to_signing_in(passwords: Passwords) -> None:
    stored = await passwords.hash(RIGHT)
    new = [asyncio.create_task(passwords.hash(WRONG)) for _ in range(4)]

    await asyncio.sleep(0)

    assert await passwords.verify(stored, RIGHT)
    results = await asyncio.gather(*new, return_exceptions=True)
    assert [isinstance(result, PasswordsBusyError) for result in results] == [False, False, True, True]


async def test_AUTH_4_one_that_is_given_up_leaves_its_place(passwords: Passwords) -> None:
    for _ in range(10):
        task = asyncio.create_task(passwords.hash(RIGHT))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    assert await passwords.verify(await passwords.hash(RIGHT), RIGHT)


async def test_AUTH_4_hashing_lets_others_go_first(passwords: Passwords) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)

    niceness = await passwords._beside(lambda: str(os.getpriority(os.PRIO_PROCESS, 0)))

    assert int(niceness) >= before + 10 or int(niceness) == 19
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


async def test_AUTH_3_a_hash_of_other_parameters_is_to_be_made_anew(passwords: Passwords) -> None:
    older = await passwords.hash(RIGHT)
    raised = Passwords(4, PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))

    assert not passwords.needs_rehash(older)
    assert raised.needs_rehash(older)
    raised.close()
