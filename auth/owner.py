"""The link with which somebody becomes the first admin of an installation."""

from dataclasses import replace

from auth.audit import TERMINAL
from auth.invitations import DAYS, Sources
from auth.ports import InvitationStore, UserStore
from persistence.records import EVERYONE_GROUP_ID


class OwnersLink:
    """A link that makes an admin of the installation, as long as there is none."""

    def __init__(self, users: UserStore, invitations: InvitationStore, sources: Sources) -> None:
        self._users = users
        self._invitations = invitations
        self._sources = sources

    async def issue(self) -> str | None:
        """Return the token of a new link, None if there is an active admin; earlier links end.

        Who accepts it is admin of the built-in group, too: theirs is what was made while the server was open.
        """
        if await self._users.has_admin():
            return None
        token, new = self._sources.invitation(DAYS)
        new = replace(new, group_id=EVERYONE_GROUP_ID, role="admin", makes_admin=True)
        entry = TERMINAL.did("invitation.made", group_id=EVERYONE_GROUP_ID, role="admin", invitation_id=str(new.id))
        await self._invitations.link_for_owner(entry, new)
        return token
