"""A document that tells of each update what it did, so that the manual edits of one person are told from another's."""

from collections.abc import Callable
from uuid import UUID

from collab.document import Applied, LiveDocument, PoisonedDocumentError
from collab.wire.deletions import covers, deleted_ranges
from collab.wire.errors import MalformedError
from collab.wire.update import Shape, pieces, walk


class RecordedDocument(LiveDocument):
    """A live document. `owner` tells whose a Yjs client is, None of a new one.

    `took` hears of each update, as it came, what became of it; of one with structs of several owners, part by part.
    """

    def __init__(self, owner: Callable[[int], UUID | None], took: Callable[[bytes, Shape, Applied], None]) -> None:
        super().__init__()
        self._owner = owner
        self._took = took

    def apply(self, update: bytes, shape: Shape) -> Applied:
        """Apply an update without gaps that waits for nothing (`LiveDocument.apply`)."""
        if len({self._owner(client) for client in shape.struct_ends}) > 1:
            return self._apply_apart(update, shape)
        applied = super().apply(update, shape)
        self._took(update, shape, applied)
        return applied

    def _apply_apart(self, update: bytes, shape: Shape) -> Applied:
        """Apply what somebody sent again of others client by client, then what is left: deletions, and circles."""
        vector = self.state_vector
        before = {
            client: vector.get(client, 0) for client, end in shape.struct_ends.items() if end > vector.get(client, 0)
        }
        parts = [(piece, walk(piece)) for piece in pieces(update)[:-1]]
        try:
            while ready := next((part for part in parts if self.missing(part[1]) is None), None):
                parts.remove(ready)
                self._took(update, ready[1], super().apply(*ready))
            self._took(update, shape, super().apply(update, shape))
        except MalformedError as error:  # parts of it are in the document by now
            raise PoisonedDocumentError(update, error) from error
        return Applied(update, before)


def is_lost(update: bytes, shape: Shape, applied: Applied) -> bool:
    """Return whether something of an update was deleted as it came in, though the update deletes it not.

    It was made in what was deleted meanwhile, or somebody else's value won over it.
    """
    if not applied.before or applied.change is None or applied.change == update:
        return False
    deleted = deleted_ranges(applied.change, walk(applied.change).deletions_at)
    return not covers(deleted_ranges(update, shape.deletions_at), deleted)
