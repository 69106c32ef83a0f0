"""What is wrong with bytes from a client.

MalformedError
└── NestingError     well formed, but nested deeper than the server holds
TooLargeError        well formed, but larger than the server takes
"""


class MalformedError(ValueError):
    """Bytes that no correct client sends; the message says what is wrong with them."""


class TooLargeError(ValueError):
    """Something is larger than the server takes."""

    def __init__(self, what: str, size: int, limit: int, unit: str = "bytes") -> None:
        super().__init__(f"{what} of {size} {unit}; at most {limit} are taken")
        self.size = size
        self.limit = limit


class NestingError(MalformedError):
    """Shared types or values are nested too deep."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"{what} are nested more than {limit} deep")
        self.limit = limit
