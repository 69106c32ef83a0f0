"""What figures were measured on."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from persistence.cluster import Binaries


async def measured_on() -> str:
    """Versions, processor and date; no name of a machine."""
    newest = (await Binaries.of_wheel())[0]
    return (
        f"Python {platform.python_version()}, PostgreSQL {newest.major}, "
        f"{os.cpu_count()} cores ({_processor()}), {platform.system()}, {datetime.now(UTC).date()}"
    )


def _processor() -> str:
    """The model's name, where the system tells it as Linux does."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
