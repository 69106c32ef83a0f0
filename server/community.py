"""Who may do what, as one part: groups, accounts, invitations, what is shared, and the audit log."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from auth.audit import Audit
from auth.groups import Groups
from auth.invitations import Invitations, Sources
from auth.invited_passwords import InvitedPasswords
from auth.owner import OwnersLink
from auth.people import People
from auth.ports import PasswordHasher
from auth.sharing import Sharing
from persistence.audit import AuditLog
from persistence.database import Database
from persistence.graphs import Graphs
from persistence.groups import Groups as GroupRows
from persistence.identifiers import new_id
from persistence.invitations import Invitations as InvitationRows
from persistence.sharing import GraphRoles, ShareLinks
from persistence.throttles import Throttles
from persistence.users import Users

SOURCES = Sources(new_id, secrets.token_bytes, lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Community:
    """The services about people, on one database."""

    groups: Groups
    people: People
    invitations: Invitations
    sharing: Sharing
    audit: Audit


def build_audit(database: Database) -> Audit:
    """Return the audit log."""
    return Audit(AuditLog(database), GroupRows(database))


def build_owners_link(database: Database) -> OwnersLink:
    """Return the link for the first admin."""
    return OwnersLink(Users(database), InvitationRows(database), SOURCES)


def build_community(database: Database, passwords: PasswordHasher) -> Community:
    """Put the services together."""
    users = Users(database)
    groups = Groups(GroupRows(database), new_id)
    invited = InvitedPasswords(passwords, Throttles(database), SOURCES.now)
    return Community(
        groups=groups,
        people=People(users, passwords, new_id),
        invitations=Invitations(InvitationRows(database), groups, users, invited, SOURCES),
        sharing=Sharing(Graphs(database), GraphRoles(database), ShareLinks(database), SOURCES),
        audit=build_audit(database),
    )
