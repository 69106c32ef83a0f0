"""BACKUP-10: clients that were away come back to a server that is not where they left it."""

import asyncio
import subprocess
from pathlib import Path

import httpx

from tests.clients.eventually import eventually
from tests.clients.replicas import Content
from tests.clients.yclient import YClient
from tests.faults.harness import COMMAND, Server

SETTINGS = {"LAYERCAKE_COMPACTION_OPERATIONS": "5", "LAYERCAKE_IDLE_UNLOAD_S": "0"}
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"]


async def type_words(person: YClient, words: list[str]) -> None:
    """Append words, one update each, and take back every third."""
    for number, word in enumerate(words):
        end = len((await person.content()).text)
        await person.edit(["text.insert", end, f" {word}"], ["map.set", word, number])
        if number % 3 == 2:
            await person.edit(["text.delete", end, len(word) + 1], ["map.delete", word])
    if person.is_connected:
        await person.saved()


async def compacted(server: Server) -> None:
    """Wait until a compacted state was written."""

    async def compactions() -> str:
        async with httpx.AsyncClient(base_url=server.base_url) as http:
            lines = (await http.get("/metrics")).text.splitlines()
        return next(line for line in lines if line.startswith("layercake_maintenance_compactions_total"))

    await eventually(compactions, lambda line: float(line.split()[1]) > 0)


def run(*argv: str) -> None:
    done = subprocess.run([COMMAND, *argv], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


async def both_see(server: Server, graph: str, person: YClient) -> Content:
    """Return what `person` sees once nothing is under way; a new client must see the same."""
    await person.saved()
    content = await person.content()
    assert await server.content(graph) == content
    return content


async def test_BACKUP_10_clients_ahead_of_a_restored_backup_bring_back_what_it_lacks(tmp_path: Path) -> None:
    """And those that are behind it get what they lack; nothing is doubled, nothing wiped, whoever comes first."""
    backup = str(tmp_path / "backup")
    async with Server.started(tmp_path / "first", SETTINGS) as first:
        graph = await first.create_graph()
        async with YClient(first.sync_url(graph)) as ahead, YClient(first.sync_url(graph)) as behind:
            await type_words(ahead, WORDS[:4])
            await behind.saved()
            await behind.disconnect()
            await type_words(ahead, WORDS[4:])
            await compacted(first)
            await asyncio.to_thread(run, "backup", "--out", backup, "--data-dir", str(first.data_dir))
            await type_words(ahead, ["after", "the", "backup", "was", "made"])
            expected = await ahead.content()
        first.terminate()
        assert await first.exit_code() == 0
    second = Server(tmp_path / "second", SETTINGS)
    await asyncio.to_thread(run, "restore", backup, "--data-dir", str(second.data_dir))
    try:
        await second.start()
        behind.url = ahead.url = second.sync_url(graph)
        await type_words(behind, ["offline"])
        async with behind:
            older = await both_see(second, graph, behind)
            assert "made" not in older.text
            assert older.text.count("offline") == 1
            async with ahead:
                content = await both_see(second, graph, ahead)
                assert (content.text.replace(" offline", ""), content.map.keys() - {"offline"}) == (
                    expected.text,
                    expected.map.keys(),
                )

                async def seen() -> Content:
                    return await behind.content()

                await eventually(seen, lambda other: other == content)
    finally:
        await second.destroy()
