"""What a door answers to those it knows but does not let do something."""

from auth.policy import Action


class AuthError(Exception):
    """Something a person may not do here."""


class ForbiddenError(AuthError):
    """One may read the entity, but not do this with it; for what one may not read, it is NotFoundError."""

    def __init__(self, action: Action, kind: str) -> None:
        super().__init__(f"your role does not allow you to {action} this {kind}; ask an admin of its group")
        self.action = action
        self.kind = kind
