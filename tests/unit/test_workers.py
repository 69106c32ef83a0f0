"""WORK-1 to WORK-3: heavy work is done in a process of its own, which lives no longer than the server."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from server.workers import WorkerLostError, Workers
from tests.clients.eventually import eventually

ROOT = Path(__file__).parents[2]
WAIT_S = 30


@pytest.fixture
def workers() -> Iterator[Workers]:
    started = Workers()
    yield started
    started.close()


def double(number: int) -> tuple[int, int]:
    return 2 * number, os.getpid()


def fail(message: str) -> None:
    raise ValueError(message)


def end_once(marker: str) -> str:
    """End the process the first time."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


async def test_WORK_1_what_a_function_returns_or_raises_comes_back_from_another_process(workers: Workers) -> None:
    results = await asyncio.gather(*(workers.run(double, number) for number in range(5)))
    assert [result for result, _ in results] == [0, 2, 4, 6, 8]
    assert {pid for _, pid in results} != {os.getpid()}
    with pytest.raises(ValueError, match="not so"):
        await workers.run(fail, "not so")


def wait_for(marker: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not Path(marker).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_WORK_1_two_that_take_long_leave_one_process_for_others(workers: Workers, tmp_path: Path) -> None:
    marker = str(tmp_path / "go on")
    long = [asyncio.create_task(workers.run(wait_for, marker)) for _ in range(2)]
    assert (await asyncio.wait_for(workers.run(double, 2), WAIT_S))[0] == 4
    assert not any(task.done() for task in long)
    Path(marker).touch()
    await asyncio.gather(*long)


async def test_WORK_2_a_worker_that_was_killed_is_replaced_and_its_work_done(workers: Workers, tmp_path: Path) -> None:
    waiting = [workers.run(end_once, str(tmp_path / "ended")) for _ in range(3)]
    assert await asyncio.wait_for(asyncio.gather(*waiting), WAIT_S) == ["done"] * 3


class AwkwardError(Exception):
    """One that cannot be made of its message alone."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


def fail_awkwardly() -> None:
    raise AwkwardError(1, 2)


async def test_WORK_1_an_error_that_cannot_come_back_as_it_is_breaks_nothing(workers: Workers) -> None:
    other = asyncio.create_task(workers.run(double, 1))
    with pytest.raises(RuntimeError, match="AwkwardError: 1 and 2"):
        await asyncio.wait_for(workers.run(fail_awkwardly), WAIT_S)
    assert (await asyncio.wait_for(other, WAIT_S))[0] == 2
    assert (await asyncio.wait_for(workers.run(double, 1), WAIT_S))[0] == 2


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def test_WORK_2_what_kills_two_workers_is_given_up_and_others_go_on(workers: Workers) -> None:
    with pytest.raises(WorkerLostError):
        await asyncio.wait_for(workers.run(end), WAIT_S)
    assert (await asyncio.wait_for(workers.run(double, 4), WAIT_S))[0] == 8


async def test_WORK_3_it_ends_when_it_is_closed(workers: Workers) -> None:
    _, pid = await workers.run(double, 1)
    workers.close()
    await eventually(lambda: _is_gone(pid), bool, WAIT_S)


async def test_WORK_3_it_ends_when_the_server_is_killed() -> None:
    program = (
        "import asyncio, sys\n"
        "from server.workers import Workers\n"
        "from tests.unit.test_workers import double\n"
        "async def main():\n"
        "    print((await Workers().run(double, 1))[1], flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    server = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        server.kill()
    await eventually(lambda: _is_gone(pid), bool, WAIT_S)


async def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
