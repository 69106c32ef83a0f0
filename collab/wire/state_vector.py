"""State vectors: how far a document knows each client, `{client id: clock after its last struct}`.

Source: yjs/src/utils/encoding.js `encodeStateVector`.
"""

from collections.abc import Mapping

from collab.wire.errors import MalformedError, TooLargeError
from collab.wire.varuint import read_varuint, varuint

StateVector = dict[int, int]


def decode_state_vector(data: bytes, max_entries: int | None = None) -> StateVector:
    """Return the vector in `data`; raises MalformedError for anything but exactly one vector.

    Raises TooLargeError if it has more than `max_entries`, of which it reads none then.
    """
    try:
        count, position = read_varuint(data, 0)
        if max_entries is not None and count > max_entries:
            raise TooLargeError("a state vector", count, max_entries, "clients")
        vector: StateVector = {}
        for _ in range(count):
            client, position = read_varuint(data, position)
            vector[client], position = read_varuint(data, position)
    except IndexError:
        raise MalformedError("the state vector ends early") from None
    if position != len(data):
        raise MalformedError("bytes follow the state vector")
    return vector


def encode_state_vector(vector: Mapping[int, int]) -> bytes:
    """Return `vector` encoded, in the order of its keys."""
    parts = [varuint(len(vector))]
    for client, clock in vector.items():
        parts.append(varuint(client))
        parts.append(varuint(clock))
    return b"".join(parts)
