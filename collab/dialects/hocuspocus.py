"""The Hocuspocus dialect: many documents on one socket, each let in by a token of its own.

What is said of a document before that waits here. Source: @hocuspocus/provider 2.15.3, 3.4.4 and 4.8.0.
"""

import asyncio
from collections.abc import Hashable, Iterable

import structlog
from websockets.http11 import Request

from collab.arrivals import WaitingFullError
from collab.dialects.hocuspocus_channel import HocuspocusChannel
from collab.dialects.line import Line
from collab.dialects.unopened import Unopened
from collab.doorkeeper import NO_SUCH_GRAPH, Admission, RefusedError, Visitor
from collab.edge import BAD_MESSAGE, OVERLOADED, ConnectionReport, DocumentReport, Edge
from collab.hub import FullError
from collab.reading import Hold
from collab.room import Room
from collab.session import Session
from collab.wire import hocuspocus, sync
from collab.wire.errors import MalformedError
from collab.wire.frames import Outbound
from collab.wire.varuint import prefixed
from persistence.errors import NotFoundError, StoreUnavailableError

PATHS = ("/hocuspocus", "/hocuspocus/")

_log = structlog.get_logger("layercake.hocuspocus")

_STORE_AWAY = 4503
_NO_TOKEN = 4504
_TRY_LATER = 1013
_NO_PRESENCE = sync.awareness(b"\x00")


class HocuspocusDialect:
    """The documents of one socket. A `collab.dialects.line.Dialect`."""

    _visitor: Visitor
    _deadline: asyncio.TimerHandle

    def __init__(self, line: Line, edge: Edge, report: ConnectionReport) -> None:
        self._line = line
        self._edge = edge
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._channels: dict[bytes, HocuspocusChannel] = {}
        self._unopened = Unopened(edge.settings.unopened_bytes, edge.settings.unopened_messages)
        self._deciding: dict[bytes, asyncio.Task[None]] = {}
        self._newer: dict[bytes, hocuspocus.Auth] = {}
        self._decisions = asyncio.Semaphore(edge.settings.socket_decisions)
        self._has_version = self.is_behind = False
        self._left: bytes | None = None

    # -- Dialect

    async def admit(self, request: Request) -> None:
        """Ask whether such a request is taken at all; who it is, each document's token says."""
        self._visitor = await self._edge.doorkeeper.check(request, self._report.peer)

    def enter(self) -> None:
        """Expect a token."""
        self._expect_token()

    def receive(self, message: bytes) -> None:
        """Take one frame, which is one message."""
        if message == hocuspocus.PONG:
            return
        address, content = hocuspocus.read(message)
        channel = self._channels.get(address)
        if isinstance(content, hocuspocus.Auth):
            self._authenticate(address, content)
        elif isinstance(content, hocuspocus.Close):
            self._let_go(address)
        elif channel is None:
            self._keep(address, content, message)
        elif isinstance(content, hocuspocus.Stateless):
            channel.relay(content)
        else:
            channel.receive(content)

    def topic(self, message: bytes) -> Hashable:
        """Return the graph of an open document."""
        channel = self._channels.get(hocuspocus.address_of(message))
        return None if channel is None else channel.room.graph_id

    def heartbeat(self) -> bytes | None:
        """Return a Ping, or an empty presence for providers that know none; they give up after 30 s of silence."""
        if self._has_version:
            return hocuspocus.PING
        address = next(iter(self._channels), None) or next(iter(self._unopened), None)
        return None if address is None else _NO_PRESENCE.addressed(prefixed(address))

    def fall_behind(self) -> None:
        """Queue nothing more."""
        self.is_behind = True
        for channel in self._channels.values():
            channel.fall_behind()

    def catch_up(self) -> None:
        """Send one difference for each document, until the client is behind again; those left are first next time."""
        self.is_behind = False
        for address, channel in list(self._channels.items()):
            if self.is_behind:
                return
            channel.catch_up()
            if address in self._channels:
                self._channels[address] = self._channels.pop(address)

    def leave(self, now: float) -> None:
        """Leave all documents."""
        self._deadline.cancel()
        for task in self._deciding.values():
            task.cancel()
        for address in list(self._channels):
            self._end(address, self._report.close_code, self._report.close_reason, now)

    # -- Documents

    @property
    def sessions(self) -> Iterable[Session]:
        """The sessions of all documents that are open on this socket."""
        return [channel.session for channel in self._channels.values()]

    def give_up(self, address: bytes, code: int, reason: str) -> None:
        """End one document, which its room closed for good; the provider may ask for it again."""
        self._write(address, hocuspocus.close(reason))
        self._end(address, code, reason, self._loop.time())
        self._unopened.deny(address)

    def deny(self, address: bytes, code: int | None, reason: str) -> None:
        """End one document if it is open, since its client may not read it, and say so; it may bring another token."""
        if address in self._channels:
            self._end(address, code, reason, self._loop.time())
        self._unopened.deny(address)
        self._write(address, hocuspocus.permission_denied(reason))

    # -- before a document is open

    def _keep(self, address: bytes, content: hocuspocus.Message, message: bytes) -> None:
        if address == self._left and isinstance(content, sync.Awareness):
            return  # 2.15 says goodbye once more after its Close
        if self._has_room_for(address):
            self._unopened.keep(address, message)
            self._bound_unopened()

    def _authenticate(self, address: bytes, auth: hocuspocus.Auth) -> None:
        self._has_version = self._has_version or auth.has_version
        if address == self._left:
            self._left = None
        if address in self._channels:
            self._channels[address].hear_token()
        if address in self._deciding:
            self._newer[address] = auth
        elif self._has_room_for(address):
            if address not in self._channels:
                self._unopened.decide(address)
            self._deciding[address] = self._loop.create_task(self._decide(address, auth))

    def _has_room_for(self, address: bytes) -> bool:
        """Return whether a document is known or may be one more; close the socket if not."""
        limit = self._edge.settings.socket_documents
        if address in self._channels or address in self._unopened:
            return True
        hocuspocus.document_name(address)
        if len(self._channels) + len(self._unopened) < limit or self._unopened.forget_denied():
            return True
        self._line.close(BAD_MESSAGE, f"a connection has at most {limit} documents; open another one")
        return False

    def _bound_unopened(self) -> None:
        reading = self._line.reading
        if not self._unopened.is_over:
            reading.release(Hold.ADMISSION)
        elif self._deciding:
            reading.hold(Hold.ADMISSION)
        else:
            self._line.close(BAD_MESSAGE, "too much was sent for documents without a token for them")

    def _expect_token(self) -> None:
        self._deadline = self._loop.call_later(self._edge.settings.authentication_timeout_s, self._expire)

    def _expire(self) -> None:
        if self._deciding or self._unopened.has_denied:
            self._expect_token()
        else:
            self._line.close(_NO_TOKEN, "no token came in time for any document; come again")

    # -- deciding

    async def _decide(self, address: bytes, auth: hocuspocus.Auth) -> None:
        try:
            async with asyncio.timeout(self._edge.settings.join_timeout_s):
                since = self._edge.rights.generation
                admission, room = await self._ask(address, auth)
            self._open(address, auth, admission, room, since)
        except RefusedError as error:
            self.deny(address, None, error.detail)
        except MalformedError as error:
            self._edge.statistics.malformed += 1
            self._line.close(BAD_MESSAGE, str(error))
        except WaitingFullError as error:
            self._line.close(OVERLOADED, str(error))
        except FullError as error:
            self._refuse_full(address, str(error))
        except StoreUnavailableError as error:
            self._put_off(address, str(error))
        except TimeoutError:
            self._put_off(address, "the database does not answer; try again")
        except Exception:  # noqa: BLE001 - whatever it is, the client must be told and its socket must end
            _log.exception("opening a document failed", connection=self._report.connection_id)
            self._line.close(OVERLOADED, "the server failed at this; its log says why")
        self._decided(address)

    async def _ask(self, address: bytes, auth: hocuspocus.Auth) -> tuple[Admission, Room]:
        name = hocuspocus.document_name(address)
        async with self._decisions, self._edge.decisions:
            admission = await self._edge.doorkeeper.admit_document(self._visitor, name, auth.token)
        hub = self._edge.hub
        try:
            if address in self._channels:
                return admission, await hub.open(admission.graph_id)
            return admission, await hub.open_for_session(admission.graph_id)
        except NotFoundError:
            raise RefusedError(404, NO_SUCH_GRAPH) from None

    def _decided(self, address: bytes) -> None:
        del self._deciding[address]
        newer = self._newer.pop(address, None)
        if newer is not None:
            self._authenticate(address, newer)
        self._bound_unopened()

    def _open(self, address: bytes, auth: hocuspocus.Auth, admission: Admission, room: Room, since: int) -> None:
        channel = self._channels.get(address)
        if channel is not None:
            channel.admit_again(admission, since)
            return
        self._deadline.cancel()
        self._report.user_id = self._report.user_id or admission.user_id
        self._report.documents += 1
        self._edge.documents += 1
        self._channels[address] = channel = HocuspocusChannel(
            self._line, self._edge, self, room, address, admission, has_version=auth.has_version
        )
        frames = self._unopened.take(address)
        if self.is_behind:
            channel.fall_behind()
        channel.enter(since)
        self._line.take_again(frames)

    def _put_off(self, address: bytes, reason: str) -> None:
        """Have a client come again; one whose document is open stays as it is, and is asked again."""
        channel = self._channels.get(address)
        if channel is None:
            self._line.close(_STORE_AWAY, reason)
        else:
            self._edge.rights.ask_again(channel)

    def _refuse_full(self, address: bytes, reason: str) -> None:
        """Deny a document that is full for the sake of the others; one that is alone comes again with its socket."""
        if (self._channels.keys() | self._deciding.keys()) - {address}:
            self.deny(address, None, reason)
        else:
            self._line.close(_TRY_LATER, reason)

    # -- ends

    def _let_go(self, address: bytes) -> None:
        """Leave a document that the client has closed."""
        self._left = address
        self._unopened.take(address)
        self._newer.pop(address, None)
        if address in self._deciding:
            self._deciding.pop(address).cancel()
        if address in self._channels:
            if self._channels[address].has_version:
                self._write(address, hocuspocus.close("the client left"))
            self._end(address, None, "the client left", self._loop.time())
        self._bound_unopened()

    def _end(self, address: bytes, code: int | None, reason: str, now: float) -> None:
        channel = self._channels.pop(address)
        channel.leave(now)
        channel.after_sending()  # what it waited for holds up the others no more
        session = channel.session
        self._edge.document_ended(
            DocumentReport(
                connection_id=self._report.connection_id,
                session_id=session.id,
                graph_id=channel.room.graph_id,
                user_id=session.user_id,
                read_only=session.read_only,
                code=code,
                reason=reason,
                duration_s=now - channel.opened_at,
            )
        )

    def _write(self, address: bytes, message: Outbound) -> None:
        self._line.write(message.addressed(prefixed(address)))
