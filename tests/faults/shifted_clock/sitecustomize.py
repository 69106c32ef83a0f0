"""A wall clock that can be moved while a process runs: Python imports this first where the folder is in PYTHONPATH.

What `time.time`, `time.time_ns` and `datetime.now` say is moved by the seconds in the file that CLOCK_SHIFT_FILE names.
PostgreSQL keeps the true time, as a database on another machine would; monotonic clocks are never moved, nor would they
be by a real jump. (Linux has no name space for the wall clock: those of time_namespaces(7) are for the monotonic ones.)
"""

import datetime
import os
import time
from pathlib import Path
from typing import Any

_FILE = Path(os.environ["CLOCK_SHIFT_FILE"])
_time, _time_ns, _datetime = time.time, time.time_ns, datetime.datetime


def _shift_s() -> int:
    return int(_FILE.read_text())


class _Moved(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _datetime)


class _MovedDatetime(_datetime, metaclass=_Moved):
    """Makes true datetimes, so that those who look at the very type find what they expect."""

    __slots__ = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return _datetime(*args, **kwargs)

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return _datetime.now(tz) + datetime.timedelta(seconds=_shift_s())


time.time = lambda: _time() + _shift_s()
time.time_ns = lambda: _time_ns() + _shift_s() * 1_000_000_000
datetime.datetime = _MovedDatetime  # type: ignore[misc]
