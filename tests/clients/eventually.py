"""Waiting for something that no event announces, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
_PROBE_EVERY_S = 0.02


async def eventually(probe: Callable[[], Awaitable[T]], accept: Callable[[T], bool], within_s: float = 30) -> T:
    """Ask `probe` until `accept` likes the answer, and return it; at the deadline fail with the last one."""
    deadline = time.monotonic() + within_s
    while True:
        answer = await probe()
        if accept(answer):
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {within_s} s; last seen: {answer!r:.4000}")
        await asyncio.sleep(_PROBE_EVERY_S)
