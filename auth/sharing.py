"""What people are in one graph, and links into it, for those who may manage the graph."""

from datetime import timedelta
from uuid import UUID

from auth.audit import Actor
from auth.errors import ForbiddenError
from auth.invitations import Sources
from auth.policy import Action, Kind, Principal, Resource, Role, may
from auth.ports import GraphRoleStore, GraphSource, ShareLinkStore
from auth.tokens import RANDOM_BYTES, Prefix, hash_token, make_opaque_token
from persistence.errors import NotFoundError
from persistence.group_records import GraphAccess, GraphRoleName, NewShareLink, ShareLink
from persistence.people_records import AuditEntry


class Sharing:
    """Rights in single graphs.

    One that may not be read: NotFoundError; one that may not be managed, or by a grant only: ForbiddenError.
    """

    def __init__(self, graphs: GraphSource, roles: GraphRoleStore, links: ShareLinkStore, sources: Sources) -> None:
        self._graphs = graphs
        self._roles = roles
        self._links = links
        self._sources = sources

    async def access(self, principal: Principal, graph_id: UUID) -> tuple[GraphAccess, ...]:
        """Return everybody who is something in a graph, or whom it is hidden from, by name."""
        await self._authorise(principal, graph_id)
        return await self._roles.of_graph(graph_id)

    async def set_role(self, actor: Actor, graph_id: UUID, user_id: UUID, role: GraphRoleName) -> None:
        """Make a person that in a graph, whatever they are in its group; its admins stay admins.

        Raises NotFoundError for a person whom the actor does not see.
        """
        await self._authorise(actor.principal, graph_id)
        entry = await self._entry(actor, "graph_role.given", graph_id, user_id=str(user_id), role=role)
        await self._roles.set(actor.principal.caller, entry, user_id, role)

    async def remove_role(self, actor: Actor, graph_id: UUID, user_id: UUID) -> None:
        """Let a person be in a graph what they are in its group. Raises NotFoundError if they are that already."""
        await self._authorise(actor.principal, graph_id)
        entry = await self._entry(actor, "graph_role.removed", graph_id, user_id=str(user_id))
        await self._roles.remove(actor.principal.caller, entry, user_id)

    async def links(self, principal: Principal, graph_id: UUID) -> tuple[ShareLink, ...]:
        """Return the links into a graph that work, oldest first."""
        await self._authorise(principal, graph_id)
        return await self._links.of_graph(principal.caller, graph_id)

    async def make_link(self, actor: Actor, graph_id: UUID, role: Role, days: float | None) -> tuple[ShareLink, str]:
        """Make a link into a graph and return it with its token, which is told once; without `days` it has no end."""
        await self._authorise(actor.principal, graph_id)
        token = make_opaque_token(Prefix.SHARE_LINK, self._sources.random(RANDOM_BYTES))
        expires_at = None if days is None else self._sources.now() + timedelta(days=days)
        new = NewShareLink(self._sources.new_id(), graph_id, role.value, hash_token(token), expires_at)
        entry = await self._entry(actor, "share_link.made", graph_id, role=new.role, share_link_id=str(new.id))
        return await self._links.create(actor.principal.caller, entry, new), token

    async def revoke_link(self, actor: Actor, link_id: UUID) -> None:
        """Let a link lead nowhere, also while its graph is in the bin: it would work after a restore.

        Raises NotFoundError, also for a link whose graph the actor is no admin of.
        """
        caller = actor.principal.caller
        graph_id = await self._links.graph_of(caller, link_id)
        _check_shares(actor.principal, Resource(Kind.GRAPH, Role.ADMIN))
        entry = await self._entry(actor, "share_link.revoked", graph_id, share_link_id=str(link_id))
        await self._links.revoke(caller, entry, link_id)

    async def _authorise(self, principal: Principal, graph_id: UUID) -> None:
        graph = Resource.of(Kind.GRAPH, await self._graphs.role_in_graph(principal.caller, graph_id))
        if not may(principal, Action.READ, graph):
            raise NotFoundError("graph", graph_id)
        _check_shares(principal, graph)

    async def _entry(self, actor: Actor, action: str, graph_id: UUID, **details: str) -> AuditEntry:
        group_id = await self._graphs.group_of(graph_id)
        return actor.did(action, group_id=group_id, graph_id=graph_id, **details)


def _check_shares(principal: Principal, graph: Resource) -> None:
    # What a token gives in one graph ends with it; it is not given on, and tells of nobody.
    if principal.grant is not None or not may(principal, Action.MANAGE, graph):
        raise ForbiddenError(Action.MANAGE, Kind.GRAPH)
