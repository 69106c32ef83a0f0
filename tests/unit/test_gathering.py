"""Questions that many ask at the same time, and who is told what came of them."""

import asyncio
import weakref
from collections.abc import Sequence

import pytest

from persistence.gathering import MOST_AT_ONCE, Gathered


class Store:
    """Answers a number by its double once it is let go, and remembers what was asked together."""

    def __init__(self) -> None:
        self.calls: list[Sequence[int]] = []
        self.is_free = asyncio.Event()
        self.failure: Exception | None = None

    async def ask_all(self, numbers: Sequence[int]) -> Sequence[int]:
        self.calls.append(numbers)
        await self.is_free.wait()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        return [2 * number for number in numbers]


async def asked(gathered: Gathered[int, int], *numbers: int) -> list[asyncio.Task[int]]:
    """Ask, and return once all wait."""
    tasks = [asyncio.create_task(gathered.ask(number)) for number in numbers]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_those_who_come_meanwhile_are_answered_together() -> None:
    store = Store()
    gathered = Gathered(store.ask_all)
    first = await asked(gathered, 1)
    later = await asked(gathered, 2, 3, 2)
    store.is_free.set()
    assert await asyncio.gather(*first, *later) == [2, 4, 6, 4]
    assert store.calls == [[1], [2, 3]]


async def test_no_answer_is_older_than_its_question() -> None:
    store = Store()
    gathered = Gathered(store.ask_all)
    tasks = await asked(gathered, 1)
    tasks += await asked(gathered, 1)
    store.is_free.set()
    await asyncio.gather(*tasks)
    assert store.calls == [[1], [1]]


async def test_one_statement_has_so_many_questions() -> None:
    store = Store()
    store.is_free.set()
    gathered = Gathered(store.ask_all)
    await asyncio.gather(*(gathered.ask(number) for number in range(MOST_AT_ONCE + 1)))
    assert [len(numbers) for numbers in store.calls] == [MOST_AT_ONCE, 1]


async def test_a_failure_is_told_to_all_who_asked_and_to_nobody_later() -> None:
    store = Store()
    gathered = Gathered(store.ask_all)
    failed = await asked(gathered, 1, 2)
    store.failure = ValueError("down")
    store.is_free.set()
    for task in failed:
        with pytest.raises(ValueError, match="down"):
            await task
    assert await gathered.ask(3) == 6


async def test_answers_are_not_held_on_to() -> None:
    class Answer:
        """As large as may be."""

    async def answer_all(questions: Sequence[int]) -> Sequence[Answer]:
        return [Answer() for _ in questions]

    gathered = Gathered(answer_all)
    held = weakref.ref(await gathered.ask(1))
    await asyncio.sleep(0)
    assert held() is None


async def test_who_gives_up_stops_nobody_else() -> None:
    store = Store()
    gathered = Gathered(store.ask_all)
    one, other = await asked(gathered, 1, 2)
    one.cancel()
    store.is_free.set()
    assert await other == 4
    with pytest.raises(asyncio.CancelledError):
        await one
