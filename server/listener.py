"""uvicorn on our terms: our order of stopping, bounded heads, no silent connections.

uvicorn 0.40 and later takes heads of any size, waits for ever for a first request, for the rest of a head and
for a body, and writes to an upgraded socket before the new protocol owns it; these two subclasses change that.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, ClassVar, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Listener(uvicorn.Server):
    """A server of which we run the parts, so that it takes no signals and is stopped in our order."""

    def __init__(self, config: uvicorn.Config, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(config)
        config.load()
        config.ssl = tls
        self.servers: list[asyncio.Server] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on `sockets`, as uvicorn does, but wait for a TLS handshake no longer than for a request."""
        config = self.config
        kind = cast("type[BoundedHttpProtocol]", config.http_protocol_class)
        for bound in sockets or ():
            server = await asyncio.get_running_loop().create_server(
                lambda: kind(config=config, server_state=self.server_state, app_state={}),
                sock=bound,
                backlog=config.backlog,
                ssl=config.ssl,
                ssl_handshake_timeout=None if config.ssl is None else kind.request_timeout_s,
            )
            self.servers.append(server)
        self.started = True

    def stop_accepting(self) -> None:
        """Close the listening sockets; connections that exist stay."""
        for server in self.servers:
            server.close()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.servers[0].sockets[0].getsockname()[1])


class BoundedHttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 on one connection, until it is upgraded. A subclass sets the bounds."""

    header_bytes: ClassVar[int]
    request_timeout_s: ClassVar[float]
    body_bytes_per_s: ClassVar[float]

    _head_bytes = 0
    _in_head = True
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.header_bytes and self._head_is_too_large(data):
                self.transport.write(_TOO_LARGE)
                self.transport.close()
                return
        if self.cycle is None or self.cycle.response_complete:
            self._await_request()
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._in_head = True
        self._await_request()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._start_deadline()
        self._in_head, self._head_bytes = False, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        # A bucket that leaks: what arrives gives time, but never more than the first part had.
        left_s = self._deadline.when() - self.loop.time() if self._deadline is not None else 0.0
        self._start_deadline(min(left_s + len(body) / self.body_bytes_per_s, self.request_timeout_s))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._forget_deadline()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._in_head = True
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        self._forget_deadline()
        self.connections.discard(self)
        protocol = self._upgraded()
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(self._handshake())

    def _upgraded(self) -> asyncio.Protocol:
        make: Callable[..., Any] = self.ws_protocol_class  # type: ignore[assignment]
        protocol: asyncio.Protocol = make(config=self.config, server_state=self.server_state, app_state=self.app_state)
        return protocol

    def _handshake(self) -> bytes:
        lines = [self.scope["method"].encode() + b" " + self.url + b" HTTP/1.1"]
        lines += [name + b": " + value for name, value in self.headers]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _head_is_too_large(self, data: bytes) -> bool:
        # The first bytes of a body can arrive with the end of its head.
        end = data.find(b"\r\n\r\n")
        return end < 0 or self._head_bytes - (len(data) - end) > self.header_bytes

    def _await_request(self) -> None:
        # Not started anew: a client that sends its head byte by byte has no more time than others.
        if self._deadline is None:
            self._start_deadline()

    def _start_deadline(self, timeout_s: float | None = None) -> None:
        self._forget_deadline()
        timeout_s = self.request_timeout_s if timeout_s is None else timeout_s
        self._deadline = self.loop.call_later(timeout_s, self._on_deadline)

    def _on_deadline(self) -> None:
        if self.flow.read_paused:  # it is us who are late
            self._start_deadline()
        else:
            self.transport.close()

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def http_protocol(*, header_bytes: int, request_timeout_s: float, body_bytes_per_s: float) -> type[BoundedHttpProtocol]:
    """Return the HTTP protocol with these bounds."""
    bounds = {
        "header_bytes": header_bytes,
        "request_timeout_s": request_timeout_s,
        "body_bytes_per_s": body_bytes_per_s,
    }
    return type("HttpProtocol", (BoundedHttpProtocol,), bounds)
