"""DOOR-5: what takes long takes turns, and one that fails does not keep the others from theirs."""

import asyncio

from collab.turns import Turns


class Waiting:
    """Has some messages left; may fail at one of them."""

    def __init__(self, name: str, messages: int, log: list[str], fails_at: int = 0, topic: str = "graph") -> None:
        self.name, self.left, self.log, self.fails_at, self.topic = name, messages, log, fails_at, topic

    def take_turn(self) -> bool:
        self.log.append(self.name)
        self.left -= 1
        if self.left == self.fails_at - 1:
            raise RuntimeError("this one fails")
        return self.left > 0


async def test_DOOR_5_turns_go_round() -> None:
    turns, log = Turns(), []  # type: tuple[Turns, list[str]]
    for name, messages in (("a", 3), ("b", 1), ("c", 2)):
        turns.enter(Waiting(name, messages, log))
    async with asyncio.timeout(5):
        await turns.finish()
    assert log == ["a", "b", "c", "a", "c", "a"]


async def test_DOOR_5_a_graph_with_many_pushing_has_no_more_turns_than_one_with_few() -> None:
    turns, log = Turns(), []  # type: tuple[Turns, list[str]]
    for name, topic in (("a", "crowded"), ("b", "crowded"), ("c", "crowded"), ("x", "quiet")):
        turns.enter(Waiting(name, 2, log, topic=topic))
    async with asyncio.timeout(5):
        await turns.finish()
    assert log == ["a", "x", "b", "x", "c", "a", "b", "c"]


async def test_DOOR_5_a_turn_that_fails_does_not_stop_the_line() -> None:
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))
    turns, log = Turns(), []  # type: tuple[Turns, list[str]]
    turns.enter(Waiting("a", 1, log, fails_at=1))
    turns.enter(Waiting("b", 2, log))
    async with asyncio.timeout(5):
        await turns.finish()
    assert log == ["a", "b", "b"]
    assert len(failures) == 1
    turns.enter(Waiting("c", 1, log))
    async with asyncio.timeout(5):
        await turns.finish()
    assert log[-1] == "c"
