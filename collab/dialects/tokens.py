"""Further tokens on one socket of the y dialect: decided on one at a time, each answered."""

import asyncio
from typing import Protocol

import structlog

from collab.doorkeeper import Admission, RefusedError
from collab.edge import Edge
from collab.wire import sync
from collab.wire.frames import Outbound
from persistence.errors import StoreUnavailableError

_log = structlog.get_logger("layercake.tokens")

_AWAY = "the database does not answer; try again"


class _Channel(Protocol):
    admission: Admission

    def admit_again(self, admission: Admission, since: int) -> None: ...

    def send(self, *messages: Outbound) -> None: ...


class Tokens:
    """What a client brings to stay; until a token is taken, and if it is refused, the rights stay as they are."""

    def __init__(self, channel: _Channel, edge: Edge) -> None:
        self._channel = channel
        self._edge = edge
        self._next: str | None = None
        self._deciding: asyncio.Task[None] | None = None

    def hear(self, token: str) -> None:
        """Decide on `token` after the one before; at most one waits."""
        if self._next is not None:
            self._answer("a newer token came")
        self._next = token
        if self._deciding is None:
            self._deciding = asyncio.get_running_loop().create_task(self._decide(), name="decide on a token")

    def end(self) -> None:
        """Decide on nothing more."""
        if self._deciding is not None:
            self._deciding.cancel()

    async def _decide(self) -> None:
        while self._next is not None:
            token, self._next = self._next, None
            self._answer(await self._refusal(token))
        self._deciding = None

    async def _refusal(self, token: str) -> str:
        """Take a token; return why not if it is refused."""
        try:
            async with asyncio.timeout(self._edge.settings.join_timeout_s), self._edge.decisions:
                since = self._edge.rights.generation
                admission = await self._edge.doorkeeper.admit_again(self._channel.admission, token)
            self._channel.admit_again(admission, since)
        except RefusedError as error:
            return error.detail
        except (StoreUnavailableError, TimeoutError):
            return _AWAY
        except Exception:  # noqa: BLE001 - whatever it is, the client must be told
            _log.exception("a token could not be decided on")
            return "the server failed at this; its log says why"
        return ""

    def _answer(self, refusal: str) -> None:
        self._channel.send(sync.token_answer(refusal))
