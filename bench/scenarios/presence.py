"""Hundreds of people move their cursors, one writes, a few look on.

Clients of the y-websocket dialect repeat all presence they hear, as the stock client does; Hocuspocus's provider does
not. With y-websocket's own server that makes 180,000 messages a second of 600 renewals, which no generator here can
send, so its clients are spared it: a best case.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from bench.crowd import FIRST_CLIENT_ID
from bench.peers import Layercake, Peer, Usage, hocuspocus, in_memory, layercake, y_websocket
from bench.processes import Generator
from bench.scenario import Bar, Figure, Sample, Scenario
from bench.scenarios.load import BUSY_GENERATOR_SHARE

ROUND_S = 8
SETTLES_S = 3
EDITS_PER_S = 10
OBSERVERS = 4
WATCHED = 20

_FIGURES = (
    Figure("receive_p50_ms", "edit at observers, p50", "ms"),
    Figure("receive_p95_ms", "edit at observers, p95", "ms"),
    Figure("receive_p99_ms", "edit at observers, p99", "ms"),
    Figure("seen_percent", "edits seen within the round", "%"),
    Figure("presence_p95_ms", "age of presence, p95", "ms", 0),
    Figure("presence_max_ms", "age of presence, max", "ms", 0),
    Figure("server_cpu_share", "server CPU share", "%"),
    Figure("database_cpu_share", "database CPU share", "%"),
    Figure("observer_mb_per_s", "received by one observer", "MB/s", 2),
    Figure("repetitions_per_s", "repetitions by stock clients", "1/s", 0),
    Figure("crowd_cpu_share", "crowd's CPU share", "%"),
    Figure("crowd_latest_send_ms", "crowd's latest send", "ms"),
    Figure("generator_cpu_share", "probe's CPU share", "%"),
)


async def run_round(peer: Peer, people: int, renewals_per_s: float) -> Sample:
    """Fill a new document of `peer` with people, wait until that has settled, and measure."""
    address, repeats = asdict(await peer.new_document()), isinstance(peer, Layercake)
    watched = [FIRST_CLIENT_ID + number * people // WATCHED for number in range(WATCHED)]
    crowded = {"people": people, "renewals_per_s": renewals_per_s, "repeats": repeats}
    looking = {"observers": OBSERVERS, "watched": watched, "settles_s": SETTLES_S}
    edits = {"edits_per_s": EDITS_PER_S, "seconds": ROUND_S}
    async with Generator.ready("bench.crowd", address=address, **crowded) as crowd:
        crowd.go()
        async with Generator.ready("bench.probe", address=address, **looking, **edits) as probe:
            usage = Usage(peer)
            probe.go()
            await probe.done()
            shares = usage.shares()
            crowd.stop()
            await crowd.done()
            return sample(await probe.report(), await crowd.report(), *shares)


def sample(seen: dict[str, Any], crowd: dict[str, Any], server_share: float, database_share: float) -> Sample:
    """Make a sample of what the observers saw and the crowd did."""
    assert crowd["cpu_share"] <= BUSY_GENERATOR_SHARE, "the crowd was the bottleneck"
    assert seen["presence_age_ms"] is not None, "the observers saw nobody's presence"
    return {f"receive_{percentile}_ms": seen["edit_ms"][percentile] for percentile in ("p50", "p95", "p99")} | {
        "seen_percent": 100 * seen["seen_share"],
        "presence_p95_ms": seen["presence_age_ms"]["p95"],
        "presence_max_ms": seen["presence_age_ms"]["max"],
        "server_cpu_share": 100 * server_share,
        "database_cpu_share": 100 * database_share,
        "observer_mb_per_s": seen["observer_mb_per_s"],
        "repetitions_per_s": crowd["repetitions_per_s"],
        "crowd_cpu_share": 100 * crowd["cpu_share"],
        "crowd_latest_send_ms": crowd["latest_send_ms"],
        "generator_cpu_share": 100 * seen["cpu_share"],
    }


def _present(people: int, renewals_per_s: float) -> Callable[[Peer], Awaitable[Sample]]:
    return lambda peer: run_round(peer, people, renewals_per_s)


SCENARIOS = tuple(
    Scenario(
        name=f"presence-{people}",
        title=f"{people} people present at {renewals_per_s} Hz, beside a writer",
        claim=f"{people} people move their cursors in one graph, and one edits it 10 times a second; when 4 observers "
        "see the edits, how old everybody's presence is, and the server's CPU.",
        figures=_FIGURES,
        bars=(
            Bar("server_cpu_share", at_most=50),
            Bar("receive_p95_ms", at_most=20),
            Bar("presence_max_ms", at_most=1_000 / renewals_per_s + 500),
        ),
        peers=(layercake, in_memory(y_websocket), in_memory(hocuspocus)),
        run=_present(people, renewals_per_s),
    )
    for people, renewals_per_s in ((300, 2), (600, 1))
)
