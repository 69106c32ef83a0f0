"""The keys that access tokens are signed with, held in memory."""

from collections.abc import Mapping

from auth.ports import KeyStore
from persistence.people_records import SigningKey


class Keys:
    """The keys of the database as they were at their first use; a new one is taken up at a restart."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._by_id: Mapping[str, SigningKey] = {}

    async def by_id(self) -> Mapping[str, SigningKey]:
        """Return every key by the id that tokens name it by, the newest last."""
        if not self._by_id:
            self._by_id = {str(key.id): key for key in await self._store.all()}
        return self._by_id

    async def newest(self) -> SigningKey:
        """Return the key that signs."""
        return list((await self.by_id()).values())[-1]
