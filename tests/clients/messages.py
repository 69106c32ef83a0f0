"""What a server of the y-websocket dialect said, in a frame as a client gets it."""

from collections.abc import Iterator

from collab.wire import sync


def messages(frame: bytes) -> Iterator[sync.Message | sync.Token | sync.HearNotices]:
    """Yield the messages of one frame, in order. Raises MalformedError at the first byte that is none."""
    position = 0
    while position < len(frame):
        message, position = sync.read(frame, position)
        if message is not None:
            yield message
