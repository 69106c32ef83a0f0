"""What can go wrong in the store, as classes that carry what the caller needs to act.

StoreError
├── StoreUnavailableError     the database does not answer (yet); try again
│   ├── GraphServedElsewhereError  another server holds the graph; try again, or ask that one
│   └── BrokenDocumentError        what is stored of a graph makes no document; the message says what to do
├── NotFoundError             no such row, or none that may be known
├── ConflictError             a unique name or id is taken
├── InvalidValueError         a check of the schema refused a value
├── InputsFullError           a project has as many inputs, or as many bytes of them, as it may
├── InputInUseError           the plan names an input that somebody means to delete
├── EditsChangedError         the manual edits of a graph are not those that were read; read them again
├── LastAdminError            nobody else could manage a group, or the installation
├── SchemaMismatchError       the database is not at this version's schema
├── MigrationError            a migration could not be applied or taken back
├── BackupError               a backup could not be made or restored
└── EmbeddedServerError       the embedded PostgreSQL cannot be started
    └── DataDirectoryBusyError    another server holds the folder
"""

from uuid import UUID


class StoreError(Exception):
    """Something the store could not do."""


class StoreUnavailableError(StoreError):
    """The database does not answer; nothing was changed, or it is unknown whether it was."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the database does not answer: {reason}")
        self.reason = reason


class GraphServedElsewhereError(StoreUnavailableError):
    """Another server holds the lease of a graph."""

    def __init__(self, graph_id: UUID) -> None:
        super().__init__(f"another server on the same database serves the graph {graph_id}")
        self.graph_id = graph_id

    def __str__(self) -> str:
        return f"{self.reason}; try again, or ask that one"


class BrokenDocumentError(StoreUnavailableError):
    """What is stored of a graph makes no document; it is not served, least of all as an empty one."""

    def __init__(self, graph_id: UUID, reason: str) -> None:
        super().__init__(f"the graph {graph_id} cannot be loaded: {reason}")
        self.graph_id = graph_id

    def __str__(self) -> str:
        return self.reason


class NotFoundError(StoreError):
    """There is no such entity."""

    def __init__(self, kind: str, id: UUID | int | str) -> None:  # noqa: A002 - the entity's id is its id
        super().__init__(f"there is no {kind} {id}")
        self.kind = kind
        self.id = id


class ConflictError(StoreError):
    """A value that must be unique is taken."""

    def __init__(self, constraint: str, detail: str) -> None:
        super().__init__(detail)
        self.constraint = constraint


class InvalidValueError(StoreError):
    """A check of the schema refused a value."""

    def __init__(self, constraint: str, detail: str) -> None:
        super().__init__(detail)
        self.constraint = constraint


class InputsFullError(StoreError):
    """A project has no room for an input: `limit` says how much it may have."""

    def __init__(self, limit: str) -> None:
        super().__init__(f"a project has at most {limit}; delete those that its plan does not need")
        self.limit = limit


class InputInUseError(StoreError):
    """Nodes of the plan read an input."""

    def __init__(self, name: str, node_ids: tuple[str, ...]) -> None:
        super().__init__(
            f"the plan reads {name!r} in the node(s) {', '.join(node_ids)}; remove those, or let them read another"
        )
        self.name = name
        self.node_ids = node_ids


class EditsChangedError(StoreError):
    """The manual edits of a graph are not those any more that were read: read them again."""

    def __init__(self, graph_id: UUID) -> None:
        super().__init__(f"the manual edits of graph {graph_id} were changed by somebody else: read them again")
        self.graph_id = graph_id


class LastAdminError(StoreError):
    """Nobody else could manage what `kind` names: a group, or the installation."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"this is the last admin of the {kind}; make somebody else one first")
        self.kind = kind


class SchemaMismatchError(StoreError):
    """The database is not at the schema of this version."""

    def __init__(self, pending: tuple[str, ...]) -> None:
        super().__init__(f"the database lacks {len(pending)} migration(s), first {pending[0]}; run `layercake migrate`")
        self.pending = pending


class RowRefusedError(StoreError):
    """Row level security does not let the caller do this: their rights ended after the door had asked for them."""


class MigrationError(StoreError):
    """A migration could not be applied or taken back; those before it stay as they are."""

    def __init__(self, migration: str | None, reason: str) -> None:
        what = f"the migration {migration}" if migration else "the migration"
        super().__init__(f"{what} failed: {reason}; cure that and run `layercake migrate` again")
        self.migration = migration
        self.reason = reason


class BackupError(StoreError):
    """A backup could not be made or restored; the message says what to do."""


class EmbeddedServerError(StoreError):
    """The embedded PostgreSQL cannot be started; the message says what to do."""


class DataDirectoryBusyError(EmbeddedServerError):
    """Another server holds the data directory."""

    def __init__(self, directory: str) -> None:
        super().__init__(
            f"another Layercake server is using {directory}; stop it, or choose another folder with --data-dir"
        )
        self.directory = directory
