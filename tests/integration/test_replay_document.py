"""The example of docs/replay.md, run as it is written against a server that is started as it says."""

import asyncio
import re
from pathlib import Path

from tests.faults.harness import Server

PAGE = (Path(__file__).parents[2] / "docs" / "replay.md").read_text()
ADDRESS = "http://127.0.0.1:8000"
WITHIN_S = 60


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


async def test_the_example_makes_an_edit_that_survives_rebuilds(tmp_path: Path) -> None:
    """All commands of the page in one shell print what the page says, one thing after the other."""
    async with Server.started(tmp_path) as server:
        script = "set -euo pipefail\n" + "".join(blocks("sh")).replace(ADDRESS, server.base_url)
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
        shell = await asyncio.create_subprocess_exec("bash", "-c", script, cwd=tmp_path, **pipes)
        async with asyncio.timeout(WITHIN_S):
            said, complaints = await shell.communicate()
    assert (said.decode(), complaints.decode(), shell.returncode) == ("".join(blocks("text")), "", 0)
