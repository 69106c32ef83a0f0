"""What a door answers to those it knows but does not let do something, and to those it does not get to know.

AuthError
├── ForbiddenError           one may read it, but not do this with it
├── SignedInOnlyError        only a person who signed in may, no token of theirs
├── UnknownPersonError       nobody is known by these credentials
├── OpenServerError          an open server does not know who asks
├── ExternalAccountError     the account is of the team's own backend
├── WrongPasswordError       the old password is not that
├── TooManyTokensError       one may have no more personal access tokens
├── ThrottledError           too many attempts; try again later
└── PasswordsBusyError       too many passwords wait to be checked; try again later
"""

from math import ceil

from auth.policy import Action


class AuthError(Exception):
    """Something a person may not do here."""


class ForbiddenError(AuthError):
    """One may read the entity, but not do this with it; for what one may not read, it is NotFoundError."""

    def __init__(self, action: Action, kind: str) -> None:
        super().__init__(f"your role does not allow you to {action} this {kind}; ask an admin of its group")
        self.action = action
        self.kind = kind


class SignedInOnlyError(AuthError):
    """Only a person who signed in with their password may; a token of theirs may not."""

    def __init__(self) -> None:
        super().__init__("no token may do this; sign in with your password")


class UnknownPersonError(AuthError):
    """Nobody is known by these credentials; the sentence does not say which of them is wrong."""

    def __init__(self, detail: str = "the username or the password is wrong") -> None:
        super().__init__(detail)


class OpenServerError(AuthError):
    """An open server does not know who asks, and what they were given would last when it is open no more."""

    def __init__(self) -> None:
        super().__init__("a server with --open changes no rights of people; use `layercake user` and `layercake group`")


class ExternalAccountError(AuthError):
    """The account is of the team's own backend: nobody signs in with it, so it looks after nothing."""

    def __init__(self) -> None:
        super().__init__("this person comes by a token of your own backend and does not sign in here; make an account")


class WrongPasswordError(AuthError):
    """The old password is not that."""

    def __init__(self) -> None:
        super().__init__("the old password is wrong")


class TooManyTokensError(AuthError):
    """A person has as many personal access tokens as one may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"you have {limit} tokens; revoke one that you do not use")
        self.limit = limit


class ThrottledError(AuthError):
    """Too many attempts came from here, or for this account or invitation; another one in `retry_after_s`."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"too many attempts; try again in {ceil(retry_after_s)} s")
        self.retry_after_s = retry_after_s


class PasswordsBusyError(AuthError):
    """So many passwords wait to be checked that this one does not; try again in `retry_after_s`."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("too many people sign in just now; try again in a moment")
        self.retry_after_s = retry_after_s
