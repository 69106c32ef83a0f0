"""The websocket edge: bytes from a socket to messages of a dialect, and back.

The Sans-I/O protocol of `websockets` (RFC 6455) does the framing; frames to clients bypass it,
serialised once for all. Compression is not negotiated for the same reason.
"""

import asyncio
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from http import HTTPStatus
from itertools import chain
from typing import cast

import structlog
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State

from collab.arrivals import WaitingFullError
from collab.dialects.hocuspocus import PATHS, HocuspocusDialect
from collab.dialects.line import Dialect
from collab.dialects.y import YDialect
from collab.doorkeeper import RefusedError
from collab.edge import BAD_MESSAGE, OVERLOADED, TOO_LARGE, TOO_MANY, TOO_SLOW, ConnectionReport, Edge
from collab.hub import FullError
from collab.inbox import Framing, Inbox
from collab.liveness import Liveness, Need
from collab.reading import Hold, Reading
from collab.turns import LONG_TURN_S
from collab.wire.errors import MalformedError, TooLargeError
from persistence.errors import NotFoundError, StoreUnavailableError

_log = structlog.get_logger("layercake.websocket")

_OWED_FACTOR = 4
_MESSAGE_COST_BYTES = 64
_END = object()
_NOT_TAKEN = (MalformedError, TooLargeError, WaitingFullError)
_TRY_AGAIN = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)
_MAX_REASON_BYTES = 123  # RFC 6455 section 5.5: a control frame carries 125 bytes


class Connection(asyncio.Protocol):
    """One client's socket, from the upgrade to its end. A `collab.dialects.line.Line`."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._loop = asyncio.get_running_loop()
        self._framing = Framing(max_size=edge.settings.message_bytes)
        self._inbox = Inbox(self._framing, edge.settings.message_bytes)
        self._fragments = bytearray()
        self._message = b""
        self._receiving: Iterator[None] | None = None
        self._dialect: Dialect | None = None
        self._joining: asyncio.Task[None] | None = None
        self._is_closing = self._is_lost = self._is_refused = self._is_in_line = False
        self._liveness = Liveness(edge.settings.silent_ticks, edge.settings.deaf_ticks)
        self._taken_bytes = 0
        self._counted = self._counted_before = self._messages = 0
        self._unread_bytes = 0
        self.behind_since: float | None = None
        self._cut: asyncio.TimerHandle | None = None
        self._report = ConnectionReport(connection_id=edge.new_id())
        self._opened_at = self._loop.time()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over a socket whose handshake request follows in `data_received`."""
        self._transport = cast("asyncio.Transport", transport)
        self.reading = Reading(self._transport)
        self.address = self._report.address = self._report.peer = str(
            (transport.get_extra_info("peername") or ("",))[0]
        )
        self._transport.set_write_buffer_limits(high=self._edge.settings.write_buffer_bytes)
        self._edge.opened(self)

    def data_received(self, data: bytes) -> None:
        """Take what a client sent, as far as it is whole frames; what takes longer than a turn may, by turns."""
        self._liveness.has_received = True
        self._report.received_bytes += len(data)
        self._edge.statistics.received_bytes += len(data)
        self._inbox.add(data)
        self._go_on()

    def _go_on(self) -> None:
        if not self._is_in_line and self._work():
            self._is_in_line = True
            self.reading.hold(Hold.TURN)
            self._edge.turns.enter(self)

    def eof_received(self) -> None:
        """The client sends nothing more; the transport closes."""
        self._framing.receive_eof()
        self._send_framing()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Leave the room once everything that arrived is processed."""
        self._is_lost = self._is_closing = True
        if self._cut is not None:
            self._cut.cancel()
        if self._joining is not None:
            self._joining.cancel()
        if not self._is_in_line:
            self._leave()

    def pause_writing(self) -> None:
        """The client reads more slowly than it is written to."""
        if self._dialect is not None:
            self._report.times_behind += 1
            self._edge.statistics.times_behind += 1
            self.behind_since, self._unread_bytes = self._loop.time(), self._transport.get_write_buffer_size()
            self._dialect.fall_behind()

    def resume_writing(self) -> None:
        """The client has read what was under way to it."""
        self.reading.release(Hold.WRITE)
        self.behind_since = None
        if self._dialect is not None:
            self._dialect.catch_up()

    # -- Line

    def write(self, frames: bytes) -> None:
        """Write whole websocket frames."""
        if self._is_closing:
            return
        self._liveness.has_sent = True
        self._report.sent_bytes += len(frames)
        self._transport.write(frames)

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake; what the client sends from now on is not taken in."""
        if self._is_closing:
            return
        self._is_closing = self._is_refused = True
        self.behind_since = self._receiving = None
        self._report.close_code, self._report.close_reason = code, reason
        if self._framing.state is State.OPEN:
            self._framing.send_close(code, reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore"))
            self._send_framing()
            self._end_in_time()
        else:
            self._transport.close()

    # -- Tended

    def tick(self) -> None:
        """See that the client keeps its bounds; show it that we are here, and ask whether it is."""
        need = self._liveness.tick(is_reading=not self.reading.holds)
        if self._dialect is None or self._is_closing or self._is_cut_off():
            return
        if need is Need.A_MESSAGE:
            self._send_heartbeat(self._dialect)
        elif need is Need.A_PING:
            self._framing.send_ping(b"")
            self._send_framing()
        elif need is Need.AN_END:
            self._transport.abort()

    def _is_cut_off(self) -> bool:
        """Close a client that sends too much, or reads nothing for too long; return whether that was done."""
        settings, now = self._edge.settings, self._loop.time()
        messages, self._counted_before = self._counted - self._counted_before, self._counted
        unread_bytes, self._unread_bytes = self._unread_bytes, self._transport.get_write_buffer_size()
        if self.behind_since is not None and self._unread_bytes < unread_bytes:
            self.behind_since = now  # it reads, if slowly
        if messages > settings.messages_per_s * settings.tick_s:
            self.close(TOO_MANY, f"more than {settings.messages_per_s:g} messages a second")
        elif self.behind_since is not None and now - self.behind_since >= settings.behind_timeout_s:
            self.close(TOO_SLOW, f"nothing was read for {settings.behind_timeout_s:g} s")
        return self._is_closing

    def _send_heartbeat(self, dialect: Dialect) -> None:
        frames = dialect.heartbeat()
        if frames is not None:
            self.write(frames)

    def take_again(self, messages: Sequence[bytes]) -> None:
        """Take messages before what is left of the inbox (`collab.dialects.line.Line`)."""
        if messages and not self._is_refused and self._dialect is not None:
            self._receiving = chain(self._receive_again(self._dialect, messages), self._receiving or ())
            self._go_on()

    def _receive_again(self, dialect: Dialect, messages: Sequence[bytes]) -> Iterator[None]:
        for message in messages:
            self._message = message
            self._taken_bytes += len(message)
            yield from dialect.receive(message) or ()
            yield

    def stop_reading(self) -> None:
        """Take in nothing more from this client."""
        self.reading.hold(Hold.STOP)

    def log_has_room(self) -> None:
        """Read again if the log was what spoke against it."""
        self.reading.release(Hold.LOG)

    def cut(self) -> None:
        """End the connection without a goodbye."""
        self._transport.abort()

    # -- Waiting

    @property
    def topic(self) -> Hashable:
        """The graph that its message is about (`collab.turns.Waiting`)."""
        return None if self._dialect is None else self._dialect.topic(self._message)

    def take_turn(self) -> bool:
        """Take a share of what came in; return whether more is left."""
        if self._work():
            return True
        self._is_in_line = False
        if self._is_lost:
            self._leave()
        else:
            self.reading.release(Hold.TURN)
        return False

    # -- joining

    def _on_request(self, request: Request) -> None:
        self.reading.hold(Hold.JOIN)
        address = self._edge.doorkeeper.address_of(request, self._report.peer)
        self._edge.moved(self.address, address)
        self.address = self._report.address = address
        if self._edge.is_crowded(self.address):
            self._refuse(429, "too many connections come from your address; close some, or try again")
            return
        self._joining = self._loop.create_task(self._join(request), name=f"join {self._report.connection_id}")

    async def _join(self, request: Request) -> None:
        kind: type[HocuspocusDialect | YDialect] = (
            HocuspocusDialect if request.path.partition("?")[0] in PATHS else YDialect
        )
        dialect: Dialect = kind(self, self._edge, self._report)
        try:
            async with asyncio.timeout(self._edge.settings.join_timeout_s):
                await dialect.admit(request)
        except RefusedError as error:
            self._refuse(error.status, error.detail)
        except NotFoundError:
            self._refuse(404, "there is no such graph")
        except (StoreUnavailableError, FullError) as error:
            self._refuse(503, str(error))
        except TimeoutError:
            self._refuse(503, "the database does not answer; try again")
        except Exception:  # noqa: BLE001 - whatever it is, the client must be told and its socket must end
            _log.exception("a join failed", connection=self._report.connection_id)
            self._refuse(500, "the server failed at this; its log says why")
        else:
            self._enter(request, dialect)

    def _enter(self, request: Request, dialect: Dialect) -> None:
        response = self._framing.accept(request)
        self._framing.send_response(response)
        self._report.status = response.status_code
        self._send_framing()
        if self._framing.state is State.OPEN:
            self._dialect = dialect
            dialect.enter()
        self.reading.release(Hold.JOIN)
        self._go_on()  # with what came right behind the request

    def _refuse(self, status: int, detail: str) -> None:
        self._report.status, self._report.close_reason = status, detail
        self._edge.statistics.refused += 1
        response: Response = self._framing.reject(HTTPStatus(status), detail + "\n")
        if status in _TRY_AGAIN:
            response.headers["Retry-After"] = "1"
        self._framing.send_response(response)
        self._send_framing()

    def _leave(self) -> None:
        self._report.duration_s = self._loop.time() - self._opened_at
        goodbye = self._framing.close_rcvd
        if self._report.close_code is None and goodbye is not None:
            self._report.close_code, self._report.close_reason = goodbye.code, goodbye.reason
        if self._dialect is not None:
            self._dialect.leave(self._loop.time())
        self._edge.gone(self, self._report)

    # -- messages

    def _work(self) -> bool:
        """Take what came in, as much as may be taken at once; return whether more is left."""
        self._taken_bytes = 0
        is_left = self._take_share(time.monotonic() + LONG_TURN_S)
        if not is_left:
            self._send_framing()  # the answers to pings and to a goodbye, after all that came before
        self._report.messages += self._messages
        self._edge.statistics.messages += self._messages
        self._messages = 0
        self._bound_what_waits()
        return is_left

    def _take_share(self, until: float) -> bool:
        while self._taken_bytes <= self._edge.settings.direct_bytes and time.monotonic() <= until:
            if self._receiving is not None:
                self.attempt(partial(self._advance, self._receiving))
            elif (event := self._inbox.next()) is None:
                return False
            elif isinstance(event, bytes):
                self._on_message(event)
            elif isinstance(event, Request):
                self._on_request(event)
            else:
                self._on_frame(event)
        return self._receiving is not None or bool(self._inbox)

    def _on_frame(self, frame: Frame) -> None:
        self._taken_bytes += _MESSAGE_COST_BYTES
        self._counted += 1
        if self._is_refused:
            return
        if frame.opcode in (Opcode.BINARY, Opcode.CONT):
            self._fragments += frame.data
            if frame.fin:
                message, self._fragments = bytes(self._fragments), bytearray()
                self._on_message(message)
        elif frame.opcode is Opcode.TEXT:
            self.close(BAD_MESSAGE, "text message: Yjs messages are binary")

    def _on_message(self, message: bytes) -> None:
        """Take the first message of a frame; the others, if there are any, are left to `_advance`."""
        self._taken_bytes += _MESSAGE_COST_BYTES + len(message)
        if self._dialect is None or self._is_refused:
            return
        self._count_message()
        self._message = message
        try:
            others = self._dialect.receive(message)
        except _NOT_TAKEN as error:
            self._refuse_message(error)
        else:
            self._receiving = None if self._is_refused else others

    def _advance(self, receiving: Iterator[None]) -> None:
        """Take the next of the messages that came in one frame."""
        if next(receiving, _END) is _END:
            self._receiving = None
        else:
            self._taken_bytes += _MESSAGE_COST_BYTES
            self._count_message()

    def _count_message(self) -> None:
        self._counted += 1
        self._messages += 1

    def attempt(self, take: Callable[[], None]) -> None:
        """Call `take`, and close with the reason if it refuses what the client sent."""
        try:
            take()
        except _NOT_TAKEN as error:
            self._refuse_message(error)

    def _refuse_message(self, error: Exception) -> None:
        if isinstance(error, MalformedError):
            self._edge.statistics.malformed += 1
            self.close(BAD_MESSAGE, str(error))
        elif isinstance(error, TooLargeError):
            self.close(TOO_LARGE, str(error))
        else:
            self.close(OVERLOADED, str(error))

    def _bound_what_waits(self) -> None:
        if self._is_closing or self._dialect is None:
            return
        if self._edge.hub.log.is_full:
            self.reading.hold(Hold.LOG)
            self._edge.stall(self)
        # Answers that are owed even to a client that does not read: it must not be able to pile them up.
        if self._transport.get_write_buffer_size() > _OWED_FACTOR * self._edge.settings.write_buffer_bytes:
            self.reading.hold(Hold.WRITE)

    # -- the transport

    def _send_framing(self) -> None:
        for data in self._framing.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._is_closing = True
                self._end_in_time()
                if self._transport.can_write_eof():
                    # Not close(): unread input would turn it into a reset, and the client would never see why.
                    self._transport.write_eof()
                else:
                    self._transport.close()  # TLS has no half-closed state

    def _end_in_time(self) -> None:
        """Read on, so that the client's goodbye is seen, and cut the socket if none comes in time."""
        self.reading.release_all_but(Hold.TURN)  # that one ends when its turns do
        if self._cut is None:
            self._cut = self._loop.call_later(self._edge.settings.close_timeout_s, self._transport.abort)
