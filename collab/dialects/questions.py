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
        self._doubtful = 0

    @property
    def are_too_many(self) -> bool:
        """Whether the client leaves more unanswered than it may."""
        return len(self._open) > MAX_OPEN

    def ask(self, *, is_counted_on: bool) -> None:
        """Note a Step1 that goes out; the counted ones go out because of the client's own.

        One that the client sends after a token shows that it began anew: what was asked before has no answer.
        """
        if is_counted_on:
            for _ in range(self._doubtful):
                self.answer()
        self._open.append(is_counted_on)

    @property
    def is_counted_on(self) -> bool:
        """Whether the client counts on a status for its next answer; it does not for one unasked."""
        return bool(self._open) and self._open[0]

    def answer(self) -> None:
        """Note an answer."""
        if self._open:
            self._open.popleft()
            self._doubtful = max(0, self._doubtful - 1)

    def doubt(self) -> None:
        """Note that a further token came: what was asked so far may have no answer."""
        self._doubtful = len(self._open)
