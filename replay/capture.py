"""Manual edits made of what people did to a document, operation by operation.

Pure. What is active of an entity is a chain (`replay.chains`); what one person does to it without a break is one edit.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import orjson

from persistence.document import GraphContent
from persistence.document_edits import Change, Entity
from persistence.ports import AppliedOperation
from persistence.replay_records import REPLAY_SESSION_ID, CapturedEdit, EditStep, StoredEdits
from replay.applicability import REFERENCES, signature
from replay.chains import Chain, Link, Rewritten, Settled
from replay.effects import with_values
from replay.graph_state import GraphState
from replay.made_operations import made_operations
from replay.operations import ROOTS, Act, EditOperation, read_entity, read_operation

SERVER_SESSIONS = frozenset({"server", "import"})
"""Stand where the session would be for what people have the server do."""

_Key = tuple[str, str]
"""Kind and id of an entity."""


@dataclass(frozen=True, slots=True)
class _Window:
    """An edit that its author may still go on with, and when it was opened, in operations taken."""

    edit_id: UUID
    author: UUID
    opened: int


@dataclass(slots=True)
class Capture:
    """A `persistence.ports.EditCapture`. `new_id` makes the ids of edits."""

    graph_id: UUID
    new_id: Callable[[], UUID]
    state: GraphState
    _version: int = 0
    _hash: str = ""
    _number: int = 0
    _upstream: Mapping[_Key, Mapping[str, Any]] = field(default_factory=dict)
    _links: dict[_Key, list[Link]] = field(default_factory=dict)
    _names: Counter[_Key] = field(default_factory=Counter)
    _clients: dict[str, UUID] = field(default_factory=dict)
    _windows: dict[_Key, _Window] = field(default_factory=dict)
    _made_or_gone: dict[_Key, int] = field(default_factory=dict)
    _tick: int = 0
    _taken: list[AppliedOperation] = field(default_factory=list)
    _told: list[AppliedOperation] = field(default_factory=list)
    _inserted: dict[UUID, CapturedEdit] = field(default_factory=dict)
    _changed: dict[UUID, CapturedEdit] = field(default_factory=dict)
    _new_clients: dict[str, UUID] = field(default_factory=dict)
    _unseen: list[Mapping[str, Any]] = field(default_factory=list)

    @classmethod
    def begin(cls, new_id: Callable[[], UUID], graph_id: UUID, stored: StoredEdits, content: GraphContent) -> "Capture":
        """Return a capture of the graph `content` (`persistence.ports.BeginCapture`)."""
        capture = cls(graph_id, new_id, GraphState.of(content))
        capture._read(stored)
        return capture

    def before(self, root: str, id_: str) -> Entity | None:
        """Return an entity as the last operation taken left it."""
        return self.state.get(root, id_)

    def ids(self, root: str) -> Collection[str]:
        """Return the ids of all entities of a root map."""
        return {"nodes": self.state.nodes, "edges": self.state.edges, "layers": self.state.layers}[root].keys()

    def owner(self, client_id: int) -> UUID | None:
        """Return whose edits a Yjs client makes, None of one that made none."""
        return self._clients.get(str(client_id))

    def take(self, applied: AppliedOperation) -> None:
        """Take the next operation."""
        self._taken.append(applied)
        self._tick += 1
        if applied.author.session_id == REPLAY_SESSION_ID:
            self._close_windows()
            self.state.apply(applied.changes)
            return
        author = self._author(applied)
        if applied.is_unseen:
            self._note_unseen(applied, author)
        for operation, change in list(made_operations(applied.changes, self.state)):
            self._edit(operation, change, author, applied)
            self.state.apply((change,))
        self.state.apply(applied.changes)  # those of layout, too

    def step(self) -> EditStep:
        """Return what became of the edits by all that was taken since the last call."""
        step = EditStep(
            self._version,
            list(self._inserted.values()),
            list(self._changed.values()),
            self._new_clients,
            self._unseen,
        )
        self._told, self._taken = self._taken, []
        self._inserted, self._changed, self._new_clients, self._unseen = {}, {}, {}, []
        return step

    def capture_again(self, stored: StoredEdits) -> EditStep:
        """Return the same as the last `step`, but as from edits that somebody changed meanwhile."""
        for applied in reversed(self._told):
            self.state.apply(Change(one.root, one.id, one.after, one.before) for one in reversed(applied.changes))
        self._read(stored)
        for applied in self._told:
            self.take(applied)
        return self.step()

    # -- inside

    def _read(self, stored: StoredEdits) -> None:
        self._version, self._hash, self._number = stored.version, stored.dag_state_hash, stored.last_number
        base = orjson.loads(stored.base)
        self._upstream = {(kind, told["id"]): told for kind, root in ROOTS.items() for told in base[root]}
        links: defaultdict[_Key, list[Link]] = defaultdict(list)
        for edit in stored.edits:
            operation = read_operation(self.graph_id, edit.operation_data)
            links[operation.kind, operation.entity_id].append(Link(edit, operation))
        self._links, self._clients = dict(links), dict(stored.clients)
        self._names = Counter(name for of_one in links.values() for link in of_one for name in _named(link.operation))
        self._close_windows()

    def _close_windows(self) -> None:
        self._windows.clear()
        self._made_or_gone.clear()

    def _author(self, applied: AppliedOperation) -> UUID:
        """Return whose the edits are: of who first used the client, or of who brought a pure deletion."""
        for client in map(str, applied.clients):
            if client not in self._clients:
                self._clients[client] = self._new_clients[client] = applied.author.user_id
        return self._clients[str(applied.clients[0])] if applied.clients else applied.author.user_id

    def _note_unseen(self, applied: AppliedOperation, author: UUID) -> None:
        told = {
            "operation_id": applied.author_operation_id,
            "user_id": str(author),
            "client_id": applied.author.client_id,
            "created_at": applied.author.created_at.isoformat(),
        }
        self._unseen.append(told)

    def _edit(self, operation: EditOperation, change: Change, author: UUID, applied: AppliedOperation) -> None:
        key = operation.kind, operation.entity_id
        target = self._target(key, operation, author)
        if target is not None and target.operation.act is Act.CREATE and change.after is not None:
            operation = replace(target.operation, entity=change.after)
        settled = self._chain(key).settle(operation, target)
        parents = self._parent_edits(settled.operation)
        for rewritten in settled.earlier:
            self._rewrite(rewritten, applied)
        if target is not None:
            self._rewrite(Rewritten(target, settled.operation, settled.reason), applied)
            return
        edit = self._insert(settled, parents, author, applied)
        if operation.act is not Act.UPDATE:
            self._made_or_gone[key] = self._tick
        self._windows[key] = _Window(edit.id, author, self._tick)

    def _target(self, key: _Key, operation: EditOperation, author: UUID) -> Link | None:
        """Return the open edit that an update goes on with."""
        window = self._windows.get(key)
        if window is None or operation.act is not Act.UPDATE or window.author != author:
            return None
        relied_on = [key, *_named(operation)]
        if any(self._made_or_gone.get(one, 0) > window.opened for one in relied_on):
            return None
        return next((link for link in self._links.get(key, ()) if link.edit.id == window.edit_id), None)

    def _insert(
        self, settled: Settled, parents: Sequence[UUID], author: UUID, applied: AppliedOperation
    ) -> CapturedEdit:
        operation = settled.operation
        self._number += 1
        edit = CapturedEdit(
            id=self.new_id(),
            number=self._number,
            operation_type=operation.type,
            entity_id=operation.entity_id,
            operation_data=operation.to_json(),
            context_data=_context(applied, parents),
            dag_state_hash=self._hash,
            applicability_signature=self._signature(operation),
            is_open_conflict=False,
            first_operation_id=applied.operation_id,
            last_operation_id=applied.operation_id,
            created_by=author,
            created_at=applied.author.created_at,
            reason=settled.reason,
        )
        self._inserted[edit.id] = edit
        if settled.reason is None:
            self._names.update(_named(operation))
            self._links.setdefault((operation.kind, operation.entity_id), []).append(Link(edit, operation))
        return edit

    def _rewrite(self, rewritten: Rewritten, applied: AppliedOperation) -> None:
        link, operation, reason = rewritten
        edit = replace(
            link.edit,
            operation_data=operation.to_json(),
            applicability_signature=self._signature(operation) if reason is None else link.edit.applicability_signature,
            last_operation_id=applied.operation_id,
            reason=reason,
        )
        (self._inserted if edit.id in self._inserted else self._changed)[edit.id] = edit
        key = operation.kind, operation.entity_id
        self._names.subtract(_named(link.operation))
        self._names.update(_named(operation) if reason is None else ())
        links = [Link(edit, operation) if one.edit.id == edit.id else one for one in self._links[key]]
        links = [one for one in links if one.edit.reason is None]
        if links:
            self._links[key] = links
        else:
            del self._links[key]

    def _signature(self, operation: EditOperation) -> str:
        return signature(operation, _AsFound(self.state, operation))

    def _chain(self, key: _Key) -> Chain:
        links = self._links.get(key, ())
        return Chain(links, self._upstream_entity(key), self._is_deleted_after, self._names[key] > 0)

    def _is_deleted_after(self, node_id: str, number: int) -> bool:
        links = self._links.get(("node", node_id), ())
        return any(link.operation.act is Act.DELETE and link.edit.number > number for link in links)

    def _upstream_entity(self, key: _Key) -> Entity | None:
        told = self._upstream.get(key)
        return None if told is None else read_entity(key[0], self.graph_id, told)

    def _parent_edits(self, operation: EditOperation) -> list[UUID]:
        """Return the active edits that made what an operation relies on."""
        keys = [(operation.kind, operation.entity_id), *_named(operation)]
        links = (link for key in keys for link in self._links.get(key, ()))
        return [link.edit.id for link in links if link.operation.act is Act.CREATE]


@dataclass(frozen=True, slots=True)
class _AsFound:
    """A graph in which the entity of an operation is as its chain found it."""

    state: GraphState
    operation: EditOperation

    def get(self, root: str, id_: str) -> Entity | None:
        operation = self.operation
        if (root, id_) != (ROOTS[operation.kind], operation.entity_id):
            return self.state.get(root, id_)
        if operation.act is Act.UPDATE:
            present = self.state.get(root, id_)
            return None if present is None else with_values(present, operation.old_values)
        return operation.entity if operation.act is Act.DELETE else None


def _named(operation: EditOperation) -> list[_Key]:
    """Return the entities that an operation names: ends, parent, layer."""
    values = operation.new_values
    if operation.act is Act.CREATE and operation.entity is not None:
        values = {name: getattr(operation.entity, name, None) for name in REFERENCES}
    return [(REFERENCES[name].removesuffix("s"), id_) for name, id_ in values.items() if name in REFERENCES and id_]


def _context(applied: AppliedOperation, parents: Sequence[UUID]) -> dict[str, Any]:
    author = applied.author
    return {
        "session_id": author.session_id,
        "client_id": author.client_id,
        "editor": "server" if author.session_id in SERVER_SESSIONS else "websocket",
        "reason": None,
        "parent_edits": [str(parent) for parent in parents],
    }
