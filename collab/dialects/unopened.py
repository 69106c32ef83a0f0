"""What a client said of documents that are not open to it, in order and within bounds. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Document:
    frames: list[bytes] = field(default_factory=list)
    bytes: int = 0
    is_denied: bool = False


class Unopened:
    """The documents of one socket that are not open, each with what was sent for it, at most `limit_*` in all.

    Denied ones have bounds of their own, as large: their clients send on, to the disadvantage of no other document.
    """

    def __init__(self, limit_bytes: int, limit_messages: int) -> None:
        self._limit_bytes, self._limit_messages = limit_bytes, limit_messages
        self._documents: dict[bytes, _Document] = {}

    def __len__(self) -> int:
        return len(self._documents)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._documents)

    def __contains__(self, address: bytes) -> bool:
        return address in self._documents

    @property
    def is_over(self) -> bool:
        """Whether documents that nobody was denied hold more than they may."""
        return self._exceeds(is_denied=False, more_bytes=0, more_messages=0)

    @property
    def has_denied(self) -> bool:
        """Whether there are documents that the client was denied."""
        return any(document.is_denied for document in self._documents.values())

    def keep(self, address: bytes, frame: bytes) -> None:
        """Keep a message for later; one too many for a denied document is dropped."""
        document = self._documents.setdefault(address, _Document())
        if document.is_denied and self._exceeds(is_denied=True, more_bytes=len(frame), more_messages=1):
            return
        document.frames.append(frame)
        document.bytes += len(frame)

    def decide(self, address: bytes) -> None:
        """Treat a document, denied or not yet known, as one that may open."""
        self._documents.setdefault(address, _Document()).is_denied = False

    def deny(self, address: bytes) -> None:
        """Treat a document, known or not, as one that does not open unless its client asks again."""
        self._documents.setdefault(address, _Document()).is_denied = True

    def forget_denied(self) -> bool:
        """Forget the document that was known first of those that were denied; return whether there was one."""
        denied = next((address for address, document in self._documents.items() if document.is_denied), None)
        if denied is not None:
            del self._documents[denied]
        return denied is not None

    def take(self, address: bytes) -> list[bytes]:
        """Forget a document, and return what was kept for it."""
        document = self._documents.pop(address, None)
        return [] if document is None else document.frames

    def _exceeds(self, *, is_denied: bool, more_bytes: int, more_messages: int) -> bool:
        documents = [document for document in self._documents.values() if document.is_denied == is_denied]
        return (
            sum(document.bytes for document in documents) + more_bytes > self._limit_bytes
            or sum(len(document.frames) for document in documents) + more_messages > self._limit_messages
        )
