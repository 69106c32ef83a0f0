"""Further tokens on one socket, whatever happens while they are decided on."""

import asyncio
from types import SimpleNamespace
from typing import Any

from collab.dialects.tokens import Tokens
from collab.wire import sync


class Channel:
    """A channel that cannot go on with what it is given."""

    admission: Any = None

    def __init__(self) -> None:
        self.answers: asyncio.Queue[Any] = asyncio.Queue()

    def admit_again(self, admission: Any, since: int) -> None:
        raise RuntimeError("a document was poisoned")

    def send(self, *messages: Any) -> None:
        self.answers.put_nowait(messages)


async def admit(admission: Any, token: str) -> Any:
    return admission


async def test_RIGHTS_4_after_a_token_that_failed_the_next_is_heard() -> None:
    edge: Any = SimpleNamespace(
        settings=SimpleNamespace(join_timeout_s=5.0),
        decisions=asyncio.Semaphore(1),
        rights=SimpleNamespace(generation=0),
        doorkeeper=SimpleNamespace(admit_again=admit),
    )
    channel = Channel()
    tokens = Tokens(channel, edge)
    failed = (sync.token_answer("the server failed at this; its log says why"),)

    for token in ("one", "another"):
        tokens.hear(token)
        answer = await asyncio.wait_for(channel.answers.get(), 5)
        assert [one.frame for one in answer] == [one.frame for one in failed]
