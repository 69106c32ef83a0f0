"""Which of our questions a client's answer belongs to. Pure."""

from collections import deque

MAX_OPEN = 1_000
"""Questions that a client may leave unanswered; correct ones answer each at once."""


class Questions:
    """Every Step1 that was sent and not answered; clients answer them in order.

    A Hocuspocus client counts on one SyncStatus for its own Step1: that which follows its answer to the Step1 that
    we sent because of it. A status for any other answer would tell it that something is saved which is not.
    """

    def __init__(self) -> None:
        self._open: deque[bool] = deque()

    @property
    def are_too_many(self) -> bool:
        """Whether the client leaves more unanswered than it may."""
        return len(self._open) > MAX_OPEN

    def ask(self, *, is_counted_on: bool) -> None:
        """Note a Step1 that goes out."""
        self._open.append(is_counted_on)

    @property
    def is_counted_on(self) -> bool:
        """Whether the client counts on a status for its next answer; it does not for one unasked."""
        return bool(self._open) and self._open[0]

    def answer(self) -> None:
        """Note an answer."""
        if self._open:
            self._open.popleft()

    def forget(self) -> None:
        """Expect no answer to what was asked so far."""
        self._open.clear()
