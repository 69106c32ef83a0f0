"""DOOR-8: how long a client may take over a request, on an application whose every step the test decides."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from server.app import bind
from server.listener import Listener, http_protocol

REQUEST_TIMEOUT_S = 0.4
LONG_S = 3 * REQUEST_TIMEOUT_S
BODY_BYTES_PER_S = 100
WAIT_S = 20
HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
MORE_THAN_IS_TAKEN_UNASKED = 1_000_000


@dataclass
class Application:
    """Reads the body once `may_read` is set and answers with its length once `may_answer` is set."""

    may_read: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    def __post_init__(self) -> None:
        self.may_read.set()
        self.may_answer.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.may_read.wait()
        length = 0
        while (message := await receive())["type"] == "http.request":
            length += len(message["body"])
            if not message["more_body"]:
                break
        await self.may_answer.wait()
        answer = str(length).encode()
        headers = [(b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


@dataclass
class Client:
    """One connection to it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> bytes:
        async with asyncio.timeout(WAIT_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length"))
            return await self.reader.readexactly(int(length.split(b":")[1]))

    async def is_closed_in_time(self) -> bool:
        """Whether the server hangs up, within twice its time limit, without a word."""
        try:
            async with asyncio.timeout(2 * REQUEST_TIMEOUT_S):
                return await self.reader.read() == b""
        except TimeoutError:
            return False

    async def hears_nothing_for(self, duration_s: float) -> None:
        """Fail if the server answers or hangs up within this time."""
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(duration_s):
                await self.reader.read(1)


@pytest.fixture
async def application() -> AsyncIterator[Application]:
    application = Application()
    http = http_protocol(header_bytes=10_000, request_timeout_s=REQUEST_TIMEOUT_S, body_bytes_per_s=BODY_BYTES_PER_S)
    # Its own time limit, between two requests, would hide ours.
    config = uvicorn.Config(application, http=http, ws="none", lifespan="off", log_config=None, timeout_keep_alive=60)
    listener = Listener(config)
    with bind("127.0.0.1", 0) as bound:
        await listener.startup(sockets=[bound])
        application.port = listener.port
        yield application
        listener.stop_accepting()
        for connection in list(listener.server_state.connections):
            connection.shutdown()
        async with asyncio.timeout(WAIT_S):
            await asyncio.gather(*listener.server_state.tasks)


@asynccontextmanager
async def connected(application: Application) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", application.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("start", [b"", b"\r\n", b"G", b"GET / HTTP/1.1\r\nhost:"])
async def test_DOOR_8_a_first_head_that_does_not_come(application: Application, start: bytes) -> None:
    async with connected(application) as client:
        await client.send(start)
        assert await client.is_closed_in_time()


@pytest.mark.parametrize("start", [b"\r\n", b"G", b"GET / HTTP/1.1\r\nhost:"])
async def test_DOOR_8_a_second_head_that_does_not_come(application: Application, start: bytes) -> None:
    async with connected(application) as client:
        await client.send(HEAD % 0)
        assert await client.answer() == b"0"
        await client.hears_nothing_for(LONG_S)
        await client.send(start)
        assert await client.is_closed_in_time()


async def test_DOOR_8_a_head_that_comes_byte_by_byte(application: Application) -> None:
    async with connected(application) as client:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await client.send(b"GET / HTTP/1.1\r\nx-long: ")
        while not client.reader.at_eof() and loop.time() - began < LONG_S:
            client.writer.write(b"y")
            try:
                async with asyncio.timeout(REQUEST_TIMEOUT_S / 4):
                    await client.reader.read()
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert loop.time() - began < LONG_S


@pytest.mark.parametrize("part", [b"", b"some"])
async def test_DOOR_8_a_body_that_does_not_come(application: Application, part: bytes) -> None:
    async with connected(application) as client:
        await client.send(HEAD % 100 + part)
        assert await client.is_closed_in_time()


async def test_DOOR_8_a_body_may_take_long_if_its_parts_do_not(application: Application) -> None:
    async with connected(application) as client:
        part = b"x" * int(REQUEST_TIMEOUT_S * BODY_BYTES_PER_S)
        await client.send(HEAD % (6 * len(part)))
        for _ in range(6):
            await client.hears_nothing_for(REQUEST_TIMEOUT_S / 2)
            await client.send(part)
        assert int(await client.answer()) == 6 * len(part)


async def test_DOOR_8_a_body_that_comes_byte_by_byte(application: Application) -> None:
    async with connected(application) as client:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await client.send(HEAD % 100)
        while not client.reader.at_eof() and loop.time() - began < LONG_S:
            client.writer.write(b"y")
            try:
                async with asyncio.timeout(REQUEST_TIMEOUT_S / 4):
                    await client.reader.read()
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert loop.time() - began < LONG_S


async def test_DOOR_8_an_answer_may_take_long(application: Application) -> None:
    application.may_answer.clear()
    async with connected(application) as client:
        await client.send(HEAD % 4 + b"some")
        await client.hears_nothing_for(LONG_S)
        application.may_answer.set()
        assert await client.answer() == b"4"


async def test_DOOR_8_a_client_is_not_to_blame_while_it_is_not_read_from(application: Application) -> None:
    application.may_read.clear()
    async with connected(application) as client:
        client.writer.write(HEAD % MORE_THAN_IS_TAKEN_UNASKED + b"x" * MORE_THAN_IS_TAKEN_UNASKED)
        await client.hears_nothing_for(LONG_S)
        application.may_read.set()
        assert await client.answer() == str(MORE_THAN_IS_TAKEN_UNASKED).encode()
