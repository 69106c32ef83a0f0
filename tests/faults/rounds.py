"""How often the random tests repeat, and from which seed."""

import os
import random

ROUNDS = int(os.environ.get("LAYERCAKE_FAULT_ROUNDS", "2"))
SEED = int(os.environ.get("LAYERCAKE_FAULT_SEED", random.SystemRandom().randrange(2**31)))


FEWER_ROUNDS = max(1, ROUNDS // 5)
"""Of tests whose rounds are long."""


def seeds(rounds: int = ROUNDS) -> list[int]:
    """One seed per round; the first is printed, and LAYERCAKE_FAULT_SEED repeats it."""
    print(f"LAYERCAKE_FAULT_SEED={SEED}")
    return [SEED + 1000 * number for number in range(rounds)]
