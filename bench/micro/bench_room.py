"""A room of 50 sessions that takes an update, stores it and sends it on."""

from pycrdt import Text
from pytest_benchmark.fixture import BenchmarkFixture

from tests.unit.documents import recorded
from tests.unit.rooms import Client, Stage

SESSIONS = 50
UPDATES = 1_000


def bench_receive_and_flush(benchmark: BenchmarkFixture) -> None:
    doc, updates = recorded(5_000)
    text = doc.get("text", type=Text)
    for number in range(UPDATES):
        text.insert(number, "a")

    def fresh() -> tuple[tuple[Stage, list[Client]], dict[str, object]]:
        stage = Stage()
        return (stage, [stage.client() for _ in range(SESSIONS)]), {}

    def take(stage: Stage, clients: list[Client]) -> None:
        for update in updates:
            clients[0].push(update)
            stage.room.flush(stage.clock.now)
            stage.log.commit()
        assert clients[-1].inbox

    benchmark.pedantic(take, setup=fresh, rounds=30)
