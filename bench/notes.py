"""Written by hand: why a scenario misses a bar, and the next idea. Shown only while it is missed."""

_EACH_UPDATE = """\
What is left is paid for each update: about 30 us of Python with warm caches (the walk 4, yrs 6, the rest calls
of the edge, the room and the log), as much again where two cores are shared with PostgreSQL, the follower and
the load generator; its share of a commit; and 15 to 20 us in the follower, which applies every operation once
more."""

NOTES: dict[str, str] = {
    "graph-2000": f"""\
{_EACH_UPDATE} Next: hand the follower what a room has applied as one merged update a step, where nothing
waits.""",
    "text-2000": _EACH_UPDATE,
    "graph-8000": f"""\
{_EACH_UPDATE} Next: take several updates of one read as one, and the follower as above.""",
    "50-graphs": """\
With 40 updates a second, a graph's windows hold one each: nothing gathers but commits. An update is one read
and three writes of the kernel, as in the other servers, and wakes a loop whose caches are cold; the follower
does a step of each graph every second. Next: one round trip for the positions of all graphs that are behind.""",
    "graph-500": """\
A change waits for the window of its graph, 5 ms with 50 people, half of it at the median; and the load
generator looks at its sockets once a millisecond.""",
    "idle": """\
A socket passes two parsers of HTTP, a task with its timeouts, and a question for its role that it shares with
others. Next: answer the handshake from what the first parser read.""",
    "visits": """\
The clients, the server, PostgreSQL and the follower share two cores, and the follower makes the rows of 2,000
graphs in the same seconds, with about twenty round trips for each that it has not followed before; the server
by itself takes 1.4 ms a visit. Next: let the follower claim and read many graphs at once, and give way to
people.""",
}
"""By the scenario's name, in whole sentences."""
