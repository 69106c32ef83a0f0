"""Names of people: one way to write each, and nothing in it that is not seen. Pure.

Categories after Unicode Standard Annex #44, normalisation after #15.
"""

import unicodedata

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})


def normal(name: str) -> str:
    """Return `name` in Unicode's normal form KC, in which what looks alike by definition is the same."""
    return unicodedata.normalize("NFKC", name)


def is_seen(name: str) -> bool:
    """Return whether no character of `name` is invisible, changes the direction of others, or is assigned to none."""
    return seen(name) == name


def seen(name: str) -> str:
    """Return what is left of `name` without such characters, and without space around it; perhaps nothing."""
    return "".join(one for one in name if unicodedata.category(one) not in _UNSEEN).strip()
