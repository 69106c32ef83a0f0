"""The parts that know people by their passwords, and how they hang together."""

from dataclasses import dataclass
from datetime import timedelta

from auth.keys import Keys
from auth.own_account import OwnAccount
from auth.password_check import PasswordCheck
from auth.passwords import Passwords
from auth.sign_in import Lifetimes, SignIn
from persistence.accounts import Accounts as AccountRows
from persistence.database import Database
from persistence.identifiers import new_id
from persistence.personal_access_tokens import PersonalAccessTokens
from persistence.sessions import Sessions
from persistence.signing_keys import SigningKeys
from persistence.throttles import Throttles
from server.authentication import now
from server.settings import Settings


@dataclass(frozen=True, slots=True)
class Accounts:
    """Passwords, sessions, and people's own accounts."""

    passwords: Passwords
    sign_in: SignIn
    own: OwnAccount


def build_accounts(settings: Settings, database: Database) -> Accounts:
    """Put the parts together; `passwords` is to be closed at the end."""
    passwords, rows, sessions = Passwords(settings.passwords_waiting), AccountRows(database), Sessions(database)
    keys = Keys(SigningKeys(database))
    check = PasswordCheck(rows, Throttles(database), passwords, keys, now)
    lifetimes = Lifetimes(timedelta(seconds=settings.access_token_s), timedelta(days=settings.session_days))
    return Accounts(
        passwords,
        SignIn(check, sessions, keys, clock=now, new_id=new_id, lifetimes=lifetimes),
        OwnAccount(
            rows, sessions, PersonalAccessTokens(database), check=check, passwords=passwords, clock=now, new_id=new_id
        ),
    )
