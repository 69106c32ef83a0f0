"""Inputs of projects, for whoever may: files that the input nodes of a plan read.

Every method asks the policy.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from tempfile import TemporaryFile
from typing import IO
from uuid import UUID

from auth.policy import Action, Principal
from persistence.replay_records import InputContent, InputFormat, StoredInput
from replay.node_configs import DataFormat
from workspace.catalogue import Catalogue
from workspace.plan_inputs import count_rows
from workspace.plans import Changed
from workspace.ports import InputStore, Worker

MEDIA_TYPES: Mapping[InputFormat, str] = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
}

_BY_MEDIA_TYPE = {media_type: one for one, media_type in MEDIA_TYPES.items()}
_BY_SUFFIX: Mapping[str, InputFormat] = {"csv": "csv", "tsv": "tsv", "tab": "tsv", "json": "json"}


@dataclass(frozen=True, slots=True)
class Upload:
    """What came in, read from the beginning, and its SHA-256 in hex."""

    file: IO[bytes]
    digest: str


@asynccontextmanager
async def received(chunks: AsyncIterable[bytes]) -> AsyncIterator[Upload]:
    """Take what comes into a file without a name, which is gone when the block ends, or the process."""
    digest = sha256()
    with TemporaryFile(prefix="layercake-") as file:
        async for chunk in chunks:
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
        await asyncio.to_thread(file.seek, 0)
        yield Upload(file, digest.hexdigest())


def input_format(content_type: str | None, name: str, content: bytes) -> InputFormat:
    """Return what a file is by its media type, else by the suffix of its name, else by how it begins."""
    media_type = (content_type or "").split(";")[0].strip().lower()
    _, _, suffix = name.lower().rpartition(".")
    return _BY_MEDIA_TYPE.get(media_type) or _BY_SUFFIX.get(suffix) or _sniffed(content)


def _sniffed(content: bytes) -> InputFormat:
    head = content.removeprefix(b"\xef\xbb\xbf").lstrip()[: 64 * 1024]
    if head.startswith((b"{", b"[")):
        return "json"
    first_line = head.partition(b"\n")[0]
    return "tsv" if first_line.count(b"\t") > first_line.count(b",") else "csv"


class Inputs:
    """Reads and changes inputs. `changed` hears of every one whose content became another."""

    def __init__(self, catalogue: Catalogue, store: InputStore, worker: Worker, changed: Changed) -> None:
        self._catalogue = catalogue
        self._store = store
        self._worker = worker
        self._changed = changed

    async def of_project(self, principal: Principal, project_id: UUID) -> tuple[StoredInput, ...]:
        """Return the inputs of a project, sorted by name. Raises NotFoundError."""
        await self._catalogue.authorise_project(principal, project_id, Action.READ)
        return await self._store.of_project(principal.caller, project_id)

    async def read(self, principal: Principal, project_id: UUID, name: str) -> InputContent:
        """Return an input as it was uploaded. Raises NotFoundError."""
        await self._catalogue.authorise_project(principal, project_id, Action.READ)
        return await self._store.read(principal.caller, project_id, name)

    async def write(
        self, principal: Principal, project_id: UUID, name: str, content_type: str | None, upload: Upload
    ) -> InputContent:
        """Store an input in the place of the one of its name, if it can be read as what it is.

        Raises NotFoundError, ForbiddenError, TableErrors, InputsFullError, InvalidValueError for a bad name.
        """
        await self._catalogue.authorise_project(principal, project_id, Action.EDIT)
        content = await asyncio.to_thread(upload.file.read)
        found = input_format(content_type, name, content)
        rows = await self._worker.run(count_rows, name, content, DataFormat(found.upper()))
        digests = {one.name: one.digest for one in await self._store.of_project(principal.caller, project_id)}
        new = InputContent(name, found, upload.digest, rows, content)
        await self._store.write(principal.caller, project_id, new)
        if digests.get(name) != new.digest:
            self._changed(project_id, principal.caller.user_id)
        return new

    async def delete(self, principal: Principal, project_id: UUID, name: str) -> None:
        """Delete an input. Raises NotFoundError, ForbiddenError, InputInUseError while the plan names it."""
        await self._catalogue.authorise_project(principal, project_id, Action.EDIT)
        await self._store.delete(principal.caller, project_id, name)
