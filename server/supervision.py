"""The maintenance process as a child of the server: started, restarted with a growing delay, stopped with it."""

import asyncio
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path

import orjson
import structlog

from server.maintenance import Report
from server.settings import Settings

_log = structlog.get_logger("layercake.maintenance")

_RESTART_FIRST_S = 0.5
_RESTART_MOST_S = 30.0
_HEALTHY_S = 60.0
_REPORT_DUE_S = 3.0
_COUNTERS = ("operations", "steps", "compactions", "compactions_refused", "failures", "pruned")


class MaintenanceProcess:
    """Runs `server.maintenance` on one database, and keeps its counters across its restarts."""

    def __init__(self, settings: Settings, database_url: str) -> None:
        self.restarts = 0
        self._environment = {**os.environ, **_as_environment(settings), "LAYERCAKE_DATABASE_URL": database_url}
        self._process: Process | None = None
        self._is_up = False
        self._report = Report()
        self._reported_at = time.monotonic()
        self._before = dict.fromkeys(_COUNTERS, 0)
        self._is_stopping = False

    @property
    def lag_s(self) -> float:
        """How far behind the tables may be: as last reported, and the time since then."""
        return self._report.lag_s + max(time.monotonic() - self._reported_at - _REPORT_DUE_S, 0)

    @property
    def warnings(self) -> int:
        """How many fields of all documents show a default because their value is no valid one."""
        return self._report.warnings

    @property
    def quarantined(self) -> int:
        """How many operations are left out of their graphs."""
        return self._report.quarantined

    def count(self, counter: str) -> int:
        """Return a counter of `Report`, since the server started."""
        return self._before[counter] + int(getattr(self._report, counter))

    def wake(self) -> None:
        """Have the log looked at now: somebody waits for what is made of it."""
        if not self._is_up or self._process is None or self._process.stdin is None:
            return
        if not self._process.stdin.is_closing():
            self._process.stdin.write(b"\n")

    async def run(self) -> None:
        """Keep the process running until `stop`; cancelled, it is killed."""
        wait_s = _RESTART_FIRST_S
        while not self._is_stopping:
            started = time.monotonic()
            try:
                code: int | str = await self._run_once()
            except OSError as error:  # too many processes, or no memory for one more
                code = str(error)
            if self._is_stopping:
                return
            if time.monotonic() - started > _HEALTHY_S:
                wait_s = _RESTART_FIRST_S
            self.restarts += 1
            _log.warning("the maintenance process ended and is started again", code=code, wait_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _RESTART_MOST_S)

    async def stop(self, timeout_s: float) -> None:
        """Let the process finish its step and end; after `timeout_s` it is killed, which loses nothing.

        One that has not begun yet is killed at once.
        """
        self._is_stopping = True
        process = self._process
        if process is None:
            return
        if self._is_up and process.stdin is not None:
            process.stdin.close()
            await asyncio.wait([asyncio.ensure_future(process.wait())], timeout=timeout_s)
        _kill(process)
        await process.wait()

    async def _run_once(self) -> int:
        # -P and the path: the very modules of this process, never those of the folder it was started in.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "server.maintenance"),
            stdin=PIPE,
            stdout=PIPE,
            env=self._environment,
            start_new_session=True,  # Ctrl-C is for the server, which tells it when everything is stored
        )
        self._process = process
        try:
            await self._read_reports(process)
            return await process.wait()
        finally:
            _kill(process)
            await process.wait()
            self._process, self._is_up = None, False
            self._before = {counter: self.count(counter) for counter in _COUNTERS}
            self._report = Report(lag_s=self._report.lag_s, warnings=self._report.warnings)

    async def _read_reports(self, process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self._is_up = True
            self._report = Report(**orjson.loads(line))
            self._reported_at = time.monotonic()


def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()


def _as_environment(settings: Settings) -> dict[str, str]:
    values = settings.model_dump(mode="json", exclude_none=True)
    found = {
        f"LAYERCAKE_{name.upper()}": ",".join(value) if isinstance(value, list) else str(value)
        for name, value in values.items()
    }
    ours = str(Path(__file__).parents[1])
    return {**found, "PYTHONPATH": os.pathsep.join(filter(None, (ours, os.environ.get("PYTHONPATH"))))}
