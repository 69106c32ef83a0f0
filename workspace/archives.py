"""Zip archives, unpacked within bounds, whatever they claim about themselves.

Pure.
"""

import zipfile
import zlib
from io import BytesIO

MAX_PARTS = 1_000
MAX_UNPACKED_BYTES = 128 * 1024 * 1024
"""Of all the parts that are read from one archive."""

_SIGNATURE = b"PK\x03\x04"
_DIRECTORY_ENTRY = b"PK\x01\x02"
_ENCRYPTED = 0x1


class ArchiveError(ValueError):
    """An archive that cannot be read, or is larger than its bounds; the message says what to do."""


class Archive:
    """The parts of an archive, each unpacked when it is read. Raises ArchiveError."""

    def __init__(self, data: bytes) -> None:
        if data.count(_DIRECTORY_ENTRY) > MAX_PARTS:
            raise ArchiveError(f"expected an archive of at most {MAX_PARTS} parts")
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise ArchiveError(f"expected a whole archive, but {error}; save it again") from None
        self.names = tuple(info.filename for info in self._zip.infolist() if not info.filename.endswith("/"))
        self._left_bytes = MAX_UNPACKED_BYTES

    def read(self, name: str) -> bytes:
        """Return a part; what it claims to be is not believed."""
        try:
            info = self._zip.getinfo(name)
            if info.flag_bits & _ENCRYPTED:
                raise ArchiveError("expected an archive without a password")
            with self._zip.open(info) as part:
                data = part.read(self._left_bytes + 1)
        except KeyError:
            raise ArchiveError(f"expected a part {name}, but there is none; save the file again") from None
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, zlib.error) as error:
            raise ArchiveError(f"expected a whole part {name}, but {error}; save the file again") from error
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise ArchiveError(f"expected at most {MAX_UNPACKED_BYTES} bytes when unpacked")
        return data


def is_archive(data: bytes) -> bool:
    """Whether `data` begins as an archive does."""
    return data.startswith(_SIGNATURE)
