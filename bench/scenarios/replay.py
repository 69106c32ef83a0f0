"""Data change under as many manual edits as nodes, and a plan's graph is rebuilt; nobody else does this."""

from bench.peers import Layercake, Peer, layercake
from bench.replay import measure
from bench.scenario import Bar, Figure, Sample, Scenario

NODES = 10_000


async def rebuild(peer: Peer) -> Sample:
    """Compute a graph, edit each of its nodes, and rebuild it of other data while somebody has it open."""
    assert isinstance(peer, Layercake), "other servers compute no graphs"
    seen = await measure(peer.running, NODES)
    assert seen.applied == NODES, f"{seen.applied} of {NODES} edits were applied"
    return {
        "posted_ms": 1000 * seen.posted_s,
        "rebuilt_ms": 1000 * seen.rebuilt_s,
        "pause_ms": 1000 * max(0.0, seen.pause_s - seen.idle_pause_s),
    }


SCENARIOS = (
    Scenario(
        name="replay",
        title=f"{NODES:,} manual edits, replayed on other data",
        claim="A plan's graph is rebuilt while somebody has it open; how long, and how much later others are answered.",
        figures=(
            Figure("posted_ms", "edits posted in", "ms", 0),
            Figure("rebuilt_ms", "rebuilt in", "ms", 0),
            Figure("pause_ms", "others answered later by", "ms", 0),
        ),
        bars=(Bar("rebuilt_ms", at_most=6_000),),
        peers=(layercake,),
        run=rebuild,
        rounds=3,
    ),
)
