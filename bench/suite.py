"""`make bench`: every scenario against every server, in turn, and what came of it.

`python -m bench.suite [NAME…] [--rounds N] [--quick] [--traces DIR]`. The samples of each scenario go to
`.make/benchmarks/<name>.json`, of which `python -m bench.report` makes `docs/benchmarks.md`.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.machine import measured_on
from bench.peers import NotInstallableError, Peer
from bench.results import FOLDER, Result, scenarios, table, verdicts
from bench.scenario import Sample, Scenario
from bench.traffic import TRACES_FOLDER

QUICK_PEERS = 2
QUICK_ROUNDS = 3
NOT_COUNTED = (AssertionError, EOFError, TimeoutError)
"""How a round ends that does not count."""


class FailedRoundError(Exception):
    """A server that may not be left out failed; without its figures there is no result."""

    def __init__(self, scenario: Scenario, peer: Peer, problem: BaseException) -> None:
        super().__init__(f"{scenario.name}: a round of {peer.name} does not count: {problem!r}")


class Run:
    """One scenario against its servers, all of them running, in turn."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._required = {bar.against for bar in scenario.bars}
        self._peers: list[Peer] = []
        self.samples: dict[str, list[Sample]] = {}
        self.left_out: dict[str, str] = {}

    async def start(self, servers: AsyncExitStack, folder: Path, peers: int | None) -> None:
        """Start the first `peers` of the servers, each with a folder of its own."""
        for number, start in enumerate(self._scenario.peers[:peers]):
            place = folder / str(number)
            place.mkdir()
            try:
                self._peers.append(await servers.enter_async_context(start(place)))
            except NotInstallableError as problem:
                self.left_out[problem.name] = problem.reason
        self._required.add(self._peers[0].name)
        self.samples = {peer.name: [] for peer in self._peers}

    @property
    def stores(self) -> dict[str, str]:
        """What each server keeps documents in."""
        return {peer.name: peer.store for peer in self._peers}

    async def rounds(self, rounds: int) -> None:
        """Run them interleaved (A B C A B C …), after one of each that is not counted."""
        for number in range(rounds + 1):
            for peer in [one for one in self._peers if one.name in self.samples]:
                sample = await self._round(peer)
                if sample is not None and number:
                    self.samples[peer.name].append(sample)

    async def _round(self, peer: Peer) -> Sample | None:
        try:
            return await self._scenario.run(peer)
        except NOT_COUNTED as problem:
            if peer.name in self._required:
                raise FailedRoundError(self._scenario, peer, problem) from problem
            del self.samples[peer.name]
            self.left_out[peer.name] = f"did not keep up ({problem or 'nobody could join any more'})"
            return None


async def measure(scenario: Scenario, rounds: int, peers: int | None) -> Result:
    """Run one scenario. Raises FailedRoundError if Layercake, or a server that a bar compares with, fails."""
    run = Run(scenario)
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as servers:
            await run.start(servers, Path(folder), peers)
            await run.rounds(rounds)
    return Result(scenario.name, await measured_on(), run.samples, run.stores, run.left_out)


def show(console: Console, scenario: Scenario, result: Result) -> None:
    """Print the table, who is left out, and which bars are met."""
    heading, *rows = table(scenario, result)
    shown = Table(title=f"{scenario.name}: {scenario.title}, medians of {result.rounds} rounds")
    for number, words in enumerate(heading):
        shown.add_column(words, justify="right" if number else "left")
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
    for name, reason in result.left_out.items():
        console.print(f"{name} {reason}")
    for verdict in verdicts(scenario, result):
        console.print(f"{_MARKS[verdict.is_met]} {verdict.words}")


_MARKS = {True: "met   ", False: "missed", None: "      "}


def asked_for(names: list[str], *, quick: bool) -> list[Scenario]:
    """Return the scenarios of these names, or all of them; exit if there is none of a name."""
    known = {scenario.name: scenario for scenario in scenarios() if scenario.is_quick or not quick}
    if unknown := set(names) - set(known):
        sys.exit(f"no scenario is called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [known[name] for name in names or known]


def options() -> argparse.Namespace:
    """Read the command line."""
    asked = argparse.ArgumentParser(prog="python -m bench.suite", description=__doc__)
    asked.add_argument("names", nargs="*", metavar="NAME", help="scenarios to run; all without")
    asked.add_argument("--rounds", type=int, help="rounds of each server that are counted")
    asked.add_argument("--quick", action="store_true", help="the quick ones, two servers, nothing is kept")
    asked.add_argument("--traces", type=Path, help="a folder of editing traces, typed where text is typed")
    return asked.parse_args()


def main() -> None:
    """Print a table for each scenario; exit with 1 if one of them has no result."""
    asked, console = options(), Console(width=140)
    if asked.traces is not None:
        os.environ[TRACES_FOLDER] = str(asked.traces.resolve())
    failed = False
    for scenario in asked_for(asked.names, quick=asked.quick):
        rounds = asked.rounds or (QUICK_ROUNDS if asked.quick else scenario.rounds)
        try:
            result = asyncio.run(measure(scenario, rounds, QUICK_PEERS if asked.quick else None))
        except FailedRoundError as problem:
            console.print(str(problem))
            failed = True
            continue
        show(console, scenario, result)
        if not asked.quick:
            result.save(FOLDER)
    sys.exit(failed)


if __name__ == "__main__":
    main()
