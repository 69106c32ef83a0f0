"""People who sign in over HTTP, all at once and again as soon as all are in; a process that bench.sign_in starts."""

import asyncio
import time
from typing import Any

import httpx

from bench.processes import asked_for, is_told_to_stop, say_done_and_report, say_ready_and_wait

_WITHIN_S = 60


async def sign_in_until_told(base_url: str, people: int, password: str) -> dict[str, Any]:
    """Let all people sign in at once, until the measurement is over; return how many did, and how long all took."""
    bursts_s = []
    while not is_told_to_stop():
        start_s = time.monotonic()
        async with asyncio.TaskGroup() as burst:
            for number in range(people):
                burst.create_task(_sign_in(base_url, f"person {number}", password))
        bursts_s.append(time.monotonic() - start_s)
    return {"sign_ins": len(bursts_s) * people, "burst_s": sum(bursts_s) / len(bursts_s)}


async def _sign_in(base_url: str, username: str, password: str) -> None:
    """Sign in with a connection of one's own."""
    async with httpx.AsyncClient(base_url=base_url, timeout=_WITHIN_S, verify=False) as client:
        answer = await client.post("/api/auth/login", json={"username": username, "password": password})
        answer.raise_for_status()


def main() -> None:
    asked = asked_for()
    say_ready_and_wait()
    say_done_and_report(asyncio.run(sign_in_until_told(**asked)))


if __name__ == "__main__":
    main()
