"""Which leaky buckets a wrong password, or a try with an invitation, falls into. Pure.

After OWASP's "Slow Down Online Guessing Attacks with Device Cookies"
(https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies): who comes from a device on
which they signed in once is counted by that device alone, and who comes from a place they signed in from, by that
place. So nobody who guesses from elsewhere keeps a person out. All others share a bucket for the account as well,
which is never full for longer than the wait of ACCOUNT.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from persistence.people_records import Bucket


@dataclass(frozen=True, slots=True)
class Limit:
    """So many attempts at once, and one more every `wait_s`."""

    attempts: int
    wait_s: float

    def bucket(self, *counted: object) -> Bucket:
        """Return the bucket of what is counted."""
        key = hashlib.sha256("\0".join(map(str, counted)).encode("utf-8", "surrogatepass")).digest()
        return Bucket(key, float(self.attempts), 1 / self.wait_s)


DEVICE = Limit(10, wait_s=60)
ACCOUNT_AND_PLACE = Limit(10, wait_s=60)
PLACE = Limit(200, wait_s=6)
ACCOUNT = Limit(50, wait_s=30)
INVITATION = Limit(10, wait_s=60)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody tries a password: for which account, from where, and whether they are known to sign in so."""

    username: str
    network: str | None
    device_id: UUID | None
    is_known_here: bool


@dataclass(frozen=True, slots=True)
class Buckets:
    """Where an attempt counts: a right password empties its `own`, and is taken back out of those that are `shared`."""

    own: Bucket
    shared: Sequence[Bucket] = ()

    @property
    def all(self) -> Sequence[Bucket]:
        """Every one of them."""
        return (self.own, *self.shared)


def buckets_of(attempt: Attempt) -> Buckets:
    """Return the buckets in which an attempt counts."""
    if attempt.device_id is not None:
        return Buckets(DEVICE.bucket("device", attempt.device_id))
    name, place = attempt.username.lower(), PLACE.bucket("place", attempt.network)
    own = ACCOUNT_AND_PLACE.bucket("account and place", name, attempt.network)
    return Buckets(own, (place,) if attempt.is_known_here else (place, ACCOUNT.bucket("account", name)))
