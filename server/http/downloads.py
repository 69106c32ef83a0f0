"""Files as answers: sent in chunks, under a name."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from typing import IO
from urllib.parse import quote

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

CHUNK_BYTES = 256 * 1024
"""How much of a file is held in memory while it is sent."""


class Download(StreamingResponse):
    """Sends a file in chunks and closes it, also when the client goes away."""

    def __init__(self, file: IO[bytes], media_type: str) -> None:
        size_bytes = file.seek(0, os.SEEK_END)
        super().__init__(self._chunks(), headers={"content-length": str(size_bytes)}, media_type=media_type)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; afterwards it is closed."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()

    async def _chunks(self) -> AsyncIterator[bytes]:
        self._file.seek(0)
        while chunk := await asyncio.to_thread(self._file.read, CHUNK_BYTES):
            yield chunk


def content_disposition(name: str) -> str:
    """Return the header that names a download (RFC 6266): the name in UTF-8, and one in ASCII for old clients."""
    plain = re.sub(r"[^ -~]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
