"""What is wrong with bytes from a client.

MalformedError
└── NestingError     well formed, but nested deeper than the server holds
TooLargeError        well formed, but larger than the server takes
"""


class MalformedError(ValueError):
    """Bytes that no correct client sends; the message says what is wrong with them."""


class TooLargeError(ValueError):
    """Something is larger than the server takes."""

    def __init__(self, what: str, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"{what} of {size_bytes} bytes; at most {limit_bytes} are taken")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class NestingError(MalformedError):
    """Shared types or values are nested too deep."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"{what} are nested more than {limit} deep")
        self.limit = limit
