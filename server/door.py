"""Who comes in: the answer to a websocket handshake and to an HTTP request, by one policy."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit
from uuid import UUID

from websockets.datastructures import MultipleValuesError
from websockets.http11 import Request

from auth.clients import Client
from auth.policy import OPERATOR, Action, Kind, Principal, Resource, may
from collab.doorkeeper import NO_SUCH_GRAPH, Admission, RefusedError, Visitor
from persistence.records import Caller
from server.origin import ForeignRequestError, OriginPolicy
from server.recent_refusals import RecentRefusals, key_of
from server.refusals import NO_ROLE, Refusals
from server.visitors import Visitors

MAX_NAME_CHARACTERS = 255
_PREFIX = "/sync/"


class UnauthenticatedError(Exception):
    """Nobody is known to stand behind the request."""

    def __init__(
        self,
        detail: str = "sign in first; send the token that you get then as `Authorization: Bearer`",
        *,
        is_passing: bool = False,
    ) -> None:
        super().__init__(detail)
        self.is_passing = is_passing
        """Whether time alone may change the answer."""


class Authenticator(Protocol):
    """Finds out who stands behind a request."""

    async def __call__(self, visitor: Visitor, token: str | None) -> Principal:
        """Return the principal; raises UnauthenticatedError."""


async def everyone_is_admin(visitor: Visitor, token: str | None) -> Principal:  # noqa: ARG001
    """Answer for `--open`: whoever comes from this machine is the built-in anonymous administrator."""
    return OPERATOR


class Roles(Protocol):
    """Where the role of a caller in a graph is looked up."""

    async def role_in_graph(self, caller: Caller, graph_id: UUID) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Door:
    """The `collab.doorkeeper.Doorkeeper` of this server."""

    authenticate: Authenticator
    roles: Roles
    visitors: Visitors
    origins: OriginPolicy
    recent: RecentRefusals
    refusals: Refusals

    async def admit(self, request: Request, peer: str) -> Admission:
        """Let a client of the y dialect in.

        Raises RefusedError: 400 malformed, 401 unknown, 403 foreign page, 404 no such graph (or none
        one may read), 414 absurd name.
        """
        url = _url(request)
        visitor, token = self._visitor(request, peer), _token(request, url.query)
        return await self._decide(visitor, token, url.path, _graph_id_in)

    async def admit_again(self, admission: Admission, token: str) -> Admission:
        """Let a client of the y dialect stay, with a further token.

        Raises RefusedError: 401 unknown, 403 somebody else or a foreign page, 404 no such graph (or none one may read).
        """
        principal = await self._known(admission.visitor, token, str(admission.graph_id))
        if principal.id != admission.principal.id:
            raise RefusedError(403, "this token is somebody else's; open another connection with it")
        return await self._admission(admission.visitor, principal, admission.graph_id)

    async def check(self, request: Request, peer: str) -> Visitor:
        """Let a client of the Hocuspocus dialect as far as the door of its documents.

        Raises RefusedError: 400 malformed, 403 foreign page.
        """
        return self._visitor(request, peer)

    async def admit_document(self, visitor: Visitor, name: str, token: str) -> Admission:
        """Let a client of the Hocuspocus dialect into the graph called `name`; without a token by its cookie.

        Raises RefusedError: 401 unknown, 404 no such graph (or none one may read), whatever the name.
        """
        return await self._decide(visitor, token or None, name, _graph_id)

    async def _decide(
        self, visitor: Visitor, token: str | None, place: str, graph_id_in: Callable[[str], UUID]
    ) -> Admission:
        if token is None:
            return await self._admission(visitor, await self._known(visitor, token, place), graph_id_in(place))
        key, since = key_of(visitor, token, place), self.recent.generation
        self.recent.check(key)
        try:
            principal = await self._known(visitor, token, place)
            admission = await self._admission(visitor, principal, graph_id_in(place))
        except RefusedError as error:
            self.recent.add(key, error, since)
            raise
        return replace(admission, key=key)

    def address_of(self, request: Request, peer: str) -> str:
        """Return where the client is; never raises."""
        return self.visitors.address(request.headers.get_all, peer)

    def _visitor(self, request: Request, peer: str) -> Visitor:
        for name in ("Host", "Origin", "User-Agent"):
            _single(request, name)
        visitor = self.visitors.visitor(request.headers.get_all, peer)
        try:
            visitor = self.origins.check(visitor)
        except ForeignRequestError as error:
            raise self._foreign(visitor, str(error)) from None
        # A browser names the page that opens a socket, and only our own may use its cookie.
        return replace(visitor, cookie=None) if visitor.origin is None else visitor

    async def _known(self, visitor: Visitor, token: str | None, place: str) -> Principal:
        try:
            return await self.authenticate(visitor, token)
        except UnauthenticatedError as error:
            with suppress(RefusedError):  # a name that is no graph's is nothing to tell of
                self._note(visitor, None, _graph_id(place.removeprefix(_PREFIX)), str(error))
            raise RefusedError(401, str(error), is_passing=error.is_passing) from None

    async def _admission(self, visitor: Visitor, principal: Principal, graph_id: UUID) -> Admission:
        graph = Resource.of(Kind.GRAPH, await self.roles.role_in_graph(principal.caller, graph_id))
        if not may(principal, Action.READ, graph):
            self._note(visitor, principal, graph_id, NO_ROLE)
            raise RefusedError(404, NO_SUCH_GRAPH)
        return Admission(graph_id, principal, read_only=not may(principal, Action.EDIT, graph), visitor=visitor)

    def _foreign(self, visitor: Visitor, detail: str) -> RefusedError:
        client = Client.of(visitor.address, visitor.user_agent)
        self.refusals.note("request.made", detail, None, client)
        return RefusedError(403, detail)

    def _note(self, visitor: Visitor, principal: Principal | None, graph_id: UUID, reason: str) -> None:
        client = Client.of(visitor.address, visitor.user_agent)
        self.refusals.note("graph.read", reason, principal, client, graph_id=graph_id)


def _url(request: Request) -> SplitResult:
    try:
        return urlsplit(request.path)
    except ValueError:
        raise RefusedError(400, "the address is malformed; websockets are served at /sync/{graph id}") from None


def _single(request: Request, name: str) -> str | None:
    try:
        return request.headers.get(name)
    except MultipleValuesError:
        raise RefusedError(400, f"the header {name} was sent more than once; send one") from None


def _graph_id_in(path: str) -> UUID:
    if not path.startswith(_PREFIX):
        raise RefusedError(404, "websockets are served at /sync/{graph id} and /hocuspocus")
    name = unquote(path.removeprefix(_PREFIX))
    if len(name) > MAX_NAME_CHARACTERS:
        raise RefusedError(414, f"a graph id is shorter than {MAX_NAME_CHARACTERS} characters")
    return _graph_id(name)


def _graph_id(name: str) -> UUID:
    try:
        graph_id = UUID(name)
    except ValueError:
        raise RefusedError(404, NO_SUCH_GRAPH) from None
    if str(graph_id) != name.lower():
        raise RefusedError(404, NO_SUCH_GRAPH)
    return graph_id


def bearer(authorization: str | None) -> str | None:
    """Return the token of an Authorization header (RFC 6750), None if it has none."""
    scheme, _, credentials = (authorization or "").partition(" ")
    return credentials if scheme.lower() == "bearer" and credentials else None


def _token(request: Request, query: str) -> str | None:
    """Return the token from the query, the Authorization header or the offered sub-protocols."""
    for pair in query.split("&"):
        if pair.startswith("token="):
            return unquote(pair.removeprefix("token="))
    offered = _offered(request.headers.get_all("Sec-WebSocket-Protocol"))
    return bearer(_single(request, "Authorization")) or next(offered, None)


def _offered(values: Iterable[str]) -> Iterator[str]:
    return (protocol.strip() for value in values for protocol in value.split(","))
