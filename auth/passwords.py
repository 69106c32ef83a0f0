"""Passwords, hashed with Argon2id (RFC 9106), one at a time and beside the event loop.

The parameters are those of OWASP's Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane. That is about 20 ms of a
core; https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
"""

import asyncio
import os
import secrets
import sys
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from auth.errors import PasswordsBusyError

_T = TypeVar("_T")

HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)
_NICENESS = 10
_RETRY_AFTER_S = 2.0


class Passwords:
    """Hashes and checks passwords in one thread, which lets everything else on the machine go first.

    argon2-cffi lets go of the interpreter's lock while it hashes. At most `waiting` are taken at a time, and new ones
    only while fewer than half of these are: the others are for signing in. A further one raises PasswordsBusyError at
    once. A password is compared in Unicode's normal form C, since keyboards of
    different systems type the same letter differently.
    """

    def __init__(self, waiting: int, hasher: PasswordHasher = HASHER) -> None:
        self._hasher = hasher
        self._nobodys_hash = hasher.hash(secrets.token_urlsafe())
        self._limit = waiting
        self._taken = 0
        self._thread = ThreadPoolExecutor(1, "passwords", initializer=_let_others_go_first)

    def check_room(self) -> None:
        """Return if a password would be taken just now; raises PasswordsBusyError."""
        self._check_room(self._limit)

    async def hash(self, password: str) -> str:
        """Return what is stored of `password`: parameters, salt and hash in PHC's format."""
        self._check_room((self._limit + 1) // 2)
        return await self._beside(self._hasher.hash, _normal(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Return whether `password` is the one that `stored` was made of.

        With None it is not, after the same work, so that how long it takes does not tell who has an account.
        """
        is_right = await self._beside(self._is_right, stored or self._nobodys_hash, _normal(password))
        return is_right and stored is not None

    def needs_rehash(self, stored: str) -> bool:
        """Return whether `stored` was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """End the thread after the password it is at; those that wait are given up. Idempotent."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _check_room(self, limit: int) -> None:
        if self._taken >= limit:
            raise PasswordsBusyError(_RETRY_AFTER_S)

    def _is_right(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _beside(self, function: Callable[..., _T], *arguments: str) -> _T:
        self.check_room()
        self._taken += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
        finally:
            self._taken -= 1


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)


def _let_others_go_first() -> None:
    """Raise this thread's nice value, where threads have one of their own (Linux; see setpriority(2), NOTES)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
