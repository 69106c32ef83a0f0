"""One round of live traffic against a server: what is seen from outside, and the CPU that it takes inside."""

from dataclasses import asdict
from typing import Any

from bench.generator import Measurement
from bench.peers import Acknowledgement, Peer, cpu_s, rss_bytes
from bench.processes import Generator
from bench.scenario import Figure, Sample

BUSY_GENERATOR_SHARE = 0.9
LATENCIES = tuple(f"{what}_{percentile}_ms" for what in ("receive", "saved") for percentile in ("p50", "p95", "p99"))

COSTS = (
    Figure("server_us_per_update", "server CPU per update", "us"),
    Figure("server_us_per_delivery", "server CPU per delivery", "us", 2),
    Figure("database_us_per_update", "database CPU per update", "us"),
    Figure("server_cpu_share", "server CPU share", "%"),
    Figure("database_cpu_share", "database CPU share", "%"),
)
DELAYS = (
    Figure("receive_p50_ms", "received after, p50", "ms"),
    Figure("receive_p95_ms", "received after, p95", "ms"),
    Figure("receive_p99_ms", "received after, p99", "ms"),
    Figure("saved_p50_ms", "acknowledged after, p50", "ms"),
    Figure("saved_p95_ms", "acknowledged after, p95", "ms"),
    Figure("saved_p99_ms", "acknowledged after, p99", "ms"),
)
AROUND = (
    Figure("received_kb_per_client", "received by each client", "KB", 0),
    Figure("memory_mb", "memory of the server after the round", "MB", 0),
    Figure("generator_cpu_share", "load generator's CPU share", "%"),
    Figure("latest_send_ms", "its latest send", "ms"),
)


async def live_round(peer: Peer, documents: int = 1, **load: Any) -> Sample:
    """Load new documents of `peer`; the counts of clients are those of each document (bench.generator.Load)."""
    addresses = [asdict(address) for address in await peer.new_documents(documents)]
    asks = peer.acknowledgement != Acknowledgement.RELAY
    async with Generator.ready("bench.generator", addresses=addresses, ask_saved=asks, **load) as generator:
        before = cpu_s(peer.server()), cpu_s(peer.database())
        generator.go()
        await generator.done()
        server_s, database_s = cpu_s(peer.server()) - before[0], cpu_s(peer.database()) - before[1]
        memory = rss_bytes(peer.server())
        return sample(Measurement(**await generator.report()), server_s, database_s, memory)


def sample(seen: Measurement, server_s: float, database_s: float, memory_bytes: int) -> Sample:
    """Make a sample of what was seen and used. Raises AssertionError if the round does not count."""
    assert seen.deliveries == seen.expected_deliveries, (
        f"{seen.deliveries} of {seen.expected_deliveries} deliveries were made"
    )
    assert seen.generator_cpu_share <= BUSY_GENERATOR_SHARE, "the load generator was the bottleneck"
    delays = {key: value for key in LATENCIES if (value := getattr(seen, key)) is not None}
    return delays | {
        "server_us_per_update": 1e6 * server_s / seen.updates,
        "server_us_per_delivery": 1e6 * server_s / seen.deliveries,
        "database_us_per_update": 1e6 * database_s / seen.updates,
        "server_cpu_share": 100 * server_s / seen.wall_s,
        "database_cpu_share": 100 * database_s / seen.wall_s,
        "received_kb_per_client": seen.received_bytes_per_client / 1_000,
        "memory_mb": memory_bytes / 1024**2,
        "generator_cpu_share": 100 * seen.generator_cpu_share,
        "latest_send_ms": seen.latest_send_ms,
    }
