"""What is wrong with bytes from a client.

MalformedError
└── NestingError     well formed, but nested deeper than the server holds
"""


class MalformedError(ValueError):
    """Bytes that no correct client sends; the message says what is wrong with them."""


class NestingError(MalformedError):
    """Shared types or values are nested too deep."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"{what} are nested more than {limit} deep")
        self.limit = limit
