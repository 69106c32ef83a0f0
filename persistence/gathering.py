"""Questions to the database that several ask at the same time, put in one statement."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from itertools import chain
from typing import Generic, TypeVar

_Question = TypeVar("_Question", bound=Hashable)
_Answer = TypeVar("_Answer")

MOST_AT_ONCE = 200
"""Questions of one statement; further ones wait for the next."""


class Gathered(Generic[_Question, _Answer]):
    """Asks the questions of all who come while a statement is under way by the next one.

    `ask_all` returns the answers to some questions, in order, and ends in time. No answer is older than its question.
    """

    def __init__(self, ask_all: Callable[[Sequence[_Question]], Awaitable[Sequence[_Answer]]]) -> None:
        self._ask_all = ask_all
        self._waiting: dict[_Question, list[asyncio.Future[_Answer]]] = {}
        self._asked: list[list[asyncio.Future[_Answer]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, question: _Question) -> _Answer:
        """Return the answer, as of a moment after this was called. Raises what `ask_all` raises.

        Cancelling one who asks does not stop the others.
        """
        answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(question, []).append(answer)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_on(), name="ask together")
        return await answer

    async def _ask_on(self) -> None:
        try:
            while self._waiting:
                questions = list(self._waiting)[:MOST_AT_ONCE]
                self._asked = [self._waiting.pop(question) for question in questions]
                await self._answer(questions)
        finally:
            self._asking = None
            for future in chain(*self._asked, *self._waiting.values()):  # none wait unless this task was cancelled
                future.cancel()
            self._asked = []  # the answers may be large

    async def _answer(self, questions: Sequence[_Question]) -> None:
        try:
            answers = await self._ask_all(questions)
        except Exception as error:  # noqa: BLE001 - whatever it is, each of those who asked is told
            for future in chain(*self._asked):
                if not future.done():
                    future.set_exception(error)
        else:
            for asked, answer in zip(self._asked, answers, strict=True):
                for future in asked:
                    if not future.done():  # else whoever asked has given up
                        future.set_result(answer)
