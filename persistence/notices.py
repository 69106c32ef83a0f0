"""What PostgreSQL tells on a channel, heard on a connection of its own, whichever process caused it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from persistence.database import Database

_log = structlog.get_logger("layercake.notices")

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 1.0
_CHECK_EVERY_S = 2.0
_ANSWERS_WITHIN_S = 1.0

NAME = "SELECT set_config('application_name', $1, false)"
ARE_YOU_THERE = "SELECT 1"


class Notices:
    """Hears of every notice on `channel`; `what` names it among the connections of the database, and in the log."""

    def __init__(self, database: Database, channel: str, what: str) -> None:
        self._database = database
        self._channel = channel
        self._what = what
        self.is_listening = False
        """Whether notices arrive, as far as anybody has noticed."""

    async def run(self, heard: Callable[[str | None], None]) -> None:
        """Call `heard` with every notice until cancelled, and with None whenever some may have been missed."""
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                await self._listen(heard)
            except Exception as error:  # noqa: BLE001 - a driver whose server dies raises anything; this must outlive it
                _log.warning(f"changes of {self._what} are not heard of", error=f"{type(error).__name__}: {error}")
            wait_s = _FIRST_WAIT_S if self.is_listening else min(wait_s * 2, _LONGEST_WAIT_S)
            self.is_listening = False
            await asyncio.sleep(wait_s)

    async def _listen(self, heard: Callable[[str | None], None]) -> None:
        """Listen until the connection is lost."""
        connection = await self._database.connect_log()
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            await connection.execute(NAME, f"layercake {self._what}")
            await connection.add_listener(self._channel, lambda *arguments: heard(arguments[-1]))
            self.is_listening = True
            heard(None)
            while not lost.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_CHECK_EVERY_S):
                        await lost.wait()
                await connection.execute(ARE_YOU_THERE, timeout=_ANSWERS_WITHIN_S)
        finally:
            connection.terminate()
