"""DOOR-6: a message before a client gives up on the server, a ping before the server gives up on a client."""

from collab.liveness import Liveness, Need


def needs(liveness: Liveness, ticks: int, *, is_reading: bool = True) -> list[Need]:
    """Tick, doing at once what is needed."""
    found = []
    for _ in range(ticks):
        need = liveness.tick(is_reading=is_reading)
        liveness.has_sent = need is Need.A_MESSAGE
        found.append(need)
    return found


def test_DOOR_6_a_silent_connection_gets_a_message_then_a_ping_then_an_end() -> None:
    found = needs(Liveness(silent_ticks=4, deaf_ticks=6), 14)
    assert [(tick, need) for tick, need in enumerate(found) if need is not Need.NOTHING] == [
        (4, Need.A_MESSAGE),
        (6, Need.A_PING),
        (9, Need.A_MESSAGE),
        (12, Need.AN_END),
        (13, Need.AN_END),
    ]


def test_DOOR_6_an_answer_starts_the_count_again() -> None:
    liveness = Liveness(silent_ticks=4, deaf_ticks=6)
    for _ in range(20):
        found = needs(liveness, 7)
        assert Need.AN_END not in found
        liveness.has_received = True


def test_DOOR_6_a_client_that_is_not_read_from_is_not_held_to_answer() -> None:
    found = needs(Liveness(silent_ticks=4, deaf_ticks=6), 50, is_reading=False)
    assert Need.A_PING not in found
    assert Need.AN_END not in found
