"""What `GET /metrics` says, read from the counters that the parts keep themselves."""

import asyncio
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.services import Services


class _Collector(Collector):
    def __init__(self, services: Services) -> None:
        self._refusals = services.refusals
        self._edge = services.edge
        self._hub = services.node.hub
        self._log = services.node.log
        self._maintenance = services.maintenance
        self._rights = services.rights
        self._rebuilds = services.replaying.rebuilds
        self._executions = services.replaying.plan_runs.executions

    def collect(self) -> Iterable[Metric]:
        yield from self._gauges()
        yield from self._counters()
        yield from self._of_maintenance()
        yield from self._of_rights()

    def _gauges(self) -> Iterable[Metric]:
        rooms = self._hub.rooms
        age_s = self._log.oldest_uncommitted_age_s()
        yield _gauge("oldest_unsaved_edit_age_seconds", "Age of the oldest accepted edit not yet committed.", age_s)
        yield _gauge("uncommitted_bytes", "Bytes of accepted edits not yet committed.", self._log.uncommitted_bytes)
        yield _gauge("rooms", "Graphs in memory.", len(rooms))
        yield _gauge("documents_bytes", "Memory that the documents take, estimated.", self._hub.documents_bytes)
        yield _gauge("leases", "Graphs that this server and no other serves.", len(self._log.leases.held))
        yield _gauge("sessions", "Clients in a graph.", sum(len(room.sessions) for room in rooms))
        yield _gauge("connections", "Open websockets.", len(self._edge.connections))
        behind_s = self._edge.behind_s(asyncio.get_running_loop().time())
        yield _gauge("clients_behind", "Clients that read too slowly and are queued nothing.", len(behind_s))
        yield _gauge(
            "longest_behind_seconds", "How long the slowest of them has read nothing.", max(behind_s, default=0)
        )
        yield _gauge("hocuspocus_documents", "Documents open on Hocuspocus connections.", self._edge.documents)
        yield _gauge("tasks", "Tasks of the event loop.", len(asyncio.all_tasks()))

    def _counters(self) -> Iterable[Metric]:
        edge, hub, log = self._edge.statistics, self._hub.statistics, self._log.statistics
        yield _counter("connections_opened", "Websockets since the start.", edge.connections)
        yield _counter("connections_refused", "Handshakes refused.", edge.refused)
        yield _counter("messages_received", "Messages from clients.", edge.messages)
        yield _counter("messages_malformed", "Messages that were refused as malformed.", edge.malformed)
        yield _counter("received_bytes", "Bytes from clients.", edge.received_bytes)
        yield _counter("sent_bytes", "Bytes to clients, counted when their connection ends.", edge.sent_bytes)
        yield _counter("times_behind", "Times a client read too slowly.", edge.times_behind)
        yield _counter("room_loads", "Graphs loaded.", hub.loads)
        yield _counter("room_load_failures", "Graphs that could not be loaded.", hub.load_failures)
        yield _counter("room_unloads", "Idle graphs given up.", hub.unloads)
        yield _counter("room_evictions", "Those of them given up early, for their memory.", hub.evictions)
        yield _counter("documents_poisoned", "Documents that failed inside yrs.", hub.poisoned)
        yield _counter("documents_healed", "Documents that were loaded again under their clients.", hub.healed)
        yield _counter("log_flushes", "Commits of the log writer.", log.flushes)
        yield _counter("log_operations", "Edits committed.", log.operations)
        yield _counter("refusals_lost", "Refusals that the audit log lacks.", self._refusals.lost)
        yield _counter(
            "refusals_repeated", "Refusals that were told within the minute before.", self._refusals.repeated
        )
        yield _counter("log_retries", "Commits that failed and were tried again.", log.retries)
        rebuilds = self._rebuilds
        yield _counter("rebuilds", "Graphs that were rebuilt.", rebuilds.statistics.rebuilds)
        yield _counter("rebuild_failures", "Graphs that could not be rebuilt.", rebuilds.statistics.failures)
        yield _counter("rebuilds_dropped", "Rebuilds that should have followed and did not.", rebuilds.triggers.dropped)
        yield from self._of_runs()

    def _of_runs(self) -> Iterable[Metric]:
        statistics = self._executions.statistics
        yield _gauge("executions_running", "Runs of plans under way or waiting.", self._executions.running)
        yield _counter("execution_seconds", "How long runs took that have ended.", statistics.seconds)
        ended = CounterMetricFamily("layercake_executions", "Runs of plans that ended, by status.", labels=["status"])
        for status in ("completed", "failed", "cancelled"):
            ended.add_metric([status], statistics.ended[status])
        yield ended

    def _of_maintenance(self) -> Iterable[Metric]:
        process = self._maintenance
        yield _gauge("projection_lag_seconds", "Age of the oldest edit that the tables lack.", process.lag_s)
        yield _gauge("projection_warnings", "Fields whose value is no valid one, of all graphs.", process.warnings)
        yield _gauge("quarantined_operations", "Edits left out of their graphs.", process.quarantined)
        for name, text in _MAINTENANCE_COUNTERS.items():
            yield _counter(f"maintenance_{name}", text, process.count(name))
        yield _counter("maintenance_restarts", "Times the maintenance process ended.", process.restarts)

    def _of_rights(self) -> Iterable[Metric]:
        rights, listening = self._rights.rechecking.statistics, self._rights.notices.is_listening
        yield _gauge("rights_listening", "1 while changes of rights are heard of, else 0.", listening)
        yield _counter(
            "rights_looked_up", "Times the rights of an open document were looked up again.", rights.looked_up
        )
        changes = CounterMetricFamily(
            "layercake_rights_changes", "What came of it on open documents, by kind.", labels=["change"]
        )
        for change, count in rights.changes.items():
            changes.add_metric([change], count)
        yield changes


_MAINTENANCE_COUNTERS = {
    "operations": "Edits that were put into the tables.",
    "steps": "Transactions that moved the tables of a graph on.",
    "compactions": "Compacted states written.",
    "compactions_refused": "Graphs that are not compacted, because their state would not load as what it is.",
    "failures": "Times the tables of a graph could not be moved on.",
    "pruned": "Old edits deleted.",
}


class Metrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self, services: Services) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Collector(services))

    def text(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self._registry)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"layercake_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"layercake_{name}", text, value=value)
