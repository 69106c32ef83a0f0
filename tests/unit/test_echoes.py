"""PRES-8: what a room sent is recognised when it comes back, and nothing else is."""

import random

import pytest

from collab.echoes import KEPT_BYTES, KEPT_FRAMES, Echoes
from collab.wire.awareness import Entry, decode_awareness, encode_awareness, encode_entry
from collab.wire.errors import MalformedError

MOST = 1_000


def frame(clock: int, *clients: int) -> dict[int, Entry]:
    return {client: Entry(client, clock, b'{"x":%d}' % (client * clock)) for client in clients}


def remember(echoes: Echoes, entries: dict[int, Entry]) -> bytes:
    return echoes.remember({client: encode_entry(entry) for client, entry in entries.items()})


def test_PRES_8_a_frame_is_recognised_whatever_is_left_out_of_it() -> None:
    echoes, sent = Echoes(), frame(7, *range(100, 400))
    assert remember(echoes, sent) == encode_awareness(sent.values())
    for left_out in (None, 100, 101, 250, 399):
        echo = encode_awareness(entry for client, entry in sent.items() if client != left_out)
        assert echoes.strange(echo, MOST) == []
    assert echoes.strange(encode_awareness(reversed(sent.values())), MOST) == []
    assert echoes.strange(encode_awareness([*sent.values(), *sent.values()]), MOST) == []


@pytest.mark.parametrize("at", [0, 1, 150, 298, 299])
def test_PRES_8_an_entry_with_one_other_byte_is_read(at: int) -> None:
    echoes, sent = Echoes(), frame(7, *range(100, 400))
    remember(echoes, sent)
    entries = list(sent.values())
    for other in (
        entries[at]._replace(clock=8),
        entries[at]._replace(state=entries[at].state + b" "),
        entries[at]._replace(client=90),
    ):
        changed = [*entries[:at], other, *entries[at + 1 :]]
        assert echoes.strange(encode_awareness(changed), MOST) == [other]


@pytest.mark.parametrize("seed", [random.SystemRandom().randrange(2**32) for _ in range(40)], ids="seed={}".format)
def test_PRES_8_any_mixture_of_frames_and_news_is_told_apart(seed: int) -> None:
    chance = random.Random(seed)
    echoes = Echoes()
    sent = [frame(clock, *chance.sample(range(30), chance.randint(1, 20))) for clock in range(1, 6)]
    for entries in sent:
        remember(echoes, entries)
    known = [entry for entries in sent for entry in entries.values()]
    news = [Entry(chance.randrange(40), 9, b"{}") for _ in range(chance.randrange(5))]
    mixture = chance.sample(known, chance.randrange(len(known))) if chance.random() < 0.5 else list(known)
    for one in news:
        mixture.insert(chance.randrange(len(mixture) + 1), one)
    strange = echoes.strange(encode_awareness(mixture), MOST)
    assert sorted(strange) == sorted(news)


def test_PRES_8_a_broken_repetition_is_refused_as_anything_else_is() -> None:
    echoes, sent = Echoes(), frame(7, *range(100, 120))
    whole = remember(echoes, sent)
    decode_awareness(whole, MOST)
    for broken in (whole[:-1], whole + b"\x00", b"\x15" + whole[1:], b"\x13" + whole[1:], whole[:1]):
        with pytest.raises(MalformedError):
            echoes.strange(broken, MOST)
    with pytest.raises(MalformedError, match="at most 19"):
        echoes.strange(whole, 19)


def test_PRES_8_frames_are_kept_within_a_number_and_a_size() -> None:
    echoes = Echoes()
    first = frame(1, 5)
    remember(echoes, first)
    for clock in range(2, KEPT_FRAMES + 2):
        assert echoes.strange(encode_awareness(first.values()), MOST) == []
        remember(echoes, frame(clock, 5))
    assert echoes.strange(encode_awareness(first.values()), MOST) == [first[5]]
    huge = {1: Entry(1, 1, b"x" * KEPT_BYTES)}
    remember(echoes, huge)
    assert echoes.strange(encode_awareness(huge.values()), MOST) == [huge[1]]
    assert echoes.strange(encode_awareness(frame(KEPT_FRAMES + 1, 5).values()), MOST) == [], "the others stay"
