-- migrate:up

-- Who holds a lease is known by its lock. This tells a node whose connection broke whether nobody had the lease since.
CREATE TABLE graph_leases (
    graph_id uuid NOT NULL,
    node_id uuid NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_graph_leases PRIMARY KEY (graph_id)
);

COMMENT ON TABLE graph_leases IS 'The node that last took the lease of each graph that is served; the lease itself is an advisory lock.';
COMMENT ON COLUMN graph_leases.graph_id IS 'No foreign key: a graph may be purged while a node still lets go of it.';
COMMENT ON COLUMN graph_leases.node_id IS 'UUIDv7 that a server or command makes at its start.';

GRANT SELECT, INSERT, UPDATE (node_id, taken_at), DELETE ON graph_leases TO layercake_log;

-- migrate:down

DROP TABLE graph_leases;
