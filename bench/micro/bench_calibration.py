"""A loop of plain Python, in whose time all other figures are told, so that machines compare roughly."""

from pytest_benchmark.fixture import BenchmarkFixture

ROUNDS = 10_000


def bench_calibration(benchmark: BenchmarkFixture) -> None:
    def count() -> int:
        seen: dict[int, bytes] = {}
        for number in range(ROUNDS):
            seen[number % 100] = number.to_bytes(4, "big")
        return len(seen)

    assert benchmark(count) == 100
