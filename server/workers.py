"""Processes beside the server for work that would hold up everybody: reading and writing whole documents.

pycrdt and orjson hold the interpreter's lock while they work, so a thread would not do.
"""

import asyncio
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

_T = TypeVar("_T")


PROCESSES = 3
"""One import and one copy are made at a time: however long they take, there is one for whoever reads."""


class WorkerLostError(Exception):
    """The process that worked was killed, and so was the one that tried again."""

    def __init__(self) -> None:
        super().__init__("this took more than a worker process has, most likely memory; try again, or with less")


class Workers:
    """At most PROCESSES worker processes, each started when it is first needed; further work waits its turn."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def run(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Return what `function` returns there, or raise what it raises; both ways everything is pickled.

        A worker that was killed is replaced, and the work is tried once more; then WorkerLostError. Cancelling does
        not end what runs already.
        """
        loop = asyncio.get_running_loop()
        pool = self._started()
        try:
            return await loop.run_in_executor(pool, _call, function, arguments)
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = None
        pool = self._started()
        try:
            return await loop.run_in_executor(pool, _call, function, arguments)
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = None
            raise WorkerLostError from None

    def close(self) -> None:
        """End the processes; what they work on is given up. Idempotent."""
        if self._pool is not None:
            for process in list(self._pool._processes.values()):  # shutdown() alone waits for what runs
                process.terminate()
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Not fork: a copy of the server's sockets would keep its clients' connections open.
            self._pool = ProcessPoolExecutor(
                PROCESSES, multiprocessing.get_context("spawn"), initializer=_live_and_die_with_the_server
            )
        return self._pool


def _call(function: Callable[..., _T], arguments: tuple[Any, ...]) -> _T:
    """Call `function` in the worker; an error that does not survive the way back would break the whole pool."""
    try:
        return function(*arguments)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301 - what we just made
        except Exception:  # noqa: BLE001 - whatever its class does when it is made anew
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        raise


def _live_and_die_with_the_server() -> None:
    """Leave Ctrl-C to the server, and end when it is gone, however it ended: the pool alone would wait for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_server, name="end with the server", daemon=True).start()


def _end_with_the_server() -> None:
    server = multiprocessing.parent_process()
    assert server is not None
    server.join()
    os._exit(1)
