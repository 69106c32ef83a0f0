-- migrate:up

CREATE TABLE crdt_operations (
    id bigint GENERATED ALWAYS AS IDENTITY,
    graph_id uuid NOT NULL,
    operation_data bytea NOT NULL,
    vector_clock text NOT NULL,
    user_id uuid NOT NULL,
    session_id text NOT NULL,
    client_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    applied_at timestamptz,
    CONSTRAINT pk_crdt_operations PRIMARY KEY (id),
    CONSTRAINT fk_crdt_operations_graph_id FOREIGN KEY (graph_id) REFERENCES graphs (id) ON DELETE CASCADE,
    CONSTRAINT fk_crdt_operations_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE RESTRICT,
    CONSTRAINT ck_crdt_operations_operation_data CHECK (octet_length(operation_data) > 0)
);

-- The write path pays for every index here: (graph_id, id) for loading, and one that is empty but for the rare
-- operation that came before its turn. Nothing looks rows up by person or time alone.
CREATE INDEX idx_crdt_operations_graph ON crdt_operations (graph_id, id);
CREATE INDEX idx_crdt_operations_pending ON crdt_operations (graph_id) WHERE applied_at IS NULL;

COMMENT ON TABLE crdt_operations IS 'Every accepted Yjs update, as received: the truth that all else about a graph is made from. Only ever extended.';
COMMENT ON COLUMN crdt_operations.id IS 'Order of storing. Ids of concurrent flushes may commit out of order.';
COMMENT ON COLUMN crdt_operations.operation_data IS 'Yjs v1 update, raw.';
COMMENT ON COLUMN crdt_operations.vector_clock IS 'JSON text {client id: clock after} of the Yjs clients it advances; {} for a pure delete.';
COMMENT ON COLUMN crdt_operations.user_id IS 'Who delivered it. RESTRICT: people are disabled and anonymised, never deleted.';
COMMENT ON COLUMN crdt_operations.session_id IS 'The connection it came on; no foreign key: sessions go, the log stays.';
COMMENT ON COLUMN crdt_operations.client_id IS 'First Yjs client id it advances, else the last known of its session, else empty.';
COMMENT ON COLUMN crdt_operations.created_at IS 'When it was accepted.';
COMMENT ON COLUMN crdt_operations.applied_at IS 'When the document had all it depends on; null while it waits.';

CREATE TABLE crdt_flushes (
    flush_id uuid NOT NULL,
    flushed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_crdt_flushes PRIMARY KEY (flush_id)
);

-- Old ones are forgotten while people wait for a flush: that must not read the others.
CREATE INDEX idx_crdt_flushes_flushed_at ON crdt_flushes (flushed_at);

COMMENT ON TABLE crdt_flushes IS 'One row per committed flush of the log writer, looked up before a flush is sent again whose COMMIT went unanswered.';
COMMENT ON COLUMN crdt_flushes.flush_id IS 'Made by the log writer, once per flush, the same at every attempt.';

CREATE TABLE graph_checkpoints (
    id uuid NOT NULL,
    graph_id uuid NOT NULL,
    through_id bigint NOT NULL,
    state bytea NOT NULL,
    vector bytea NOT NULL,
    pending_ids bigint[] NOT NULL DEFAULT '{}',
    label text,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_graph_checkpoints PRIMARY KEY (id),
    CONSTRAINT fk_graph_checkpoints_graph_id FOREIGN KEY (graph_id) REFERENCES graphs (id) ON DELETE CASCADE,
    CONSTRAINT fk_graph_checkpoints_created_by FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE RESTRICT,
    CONSTRAINT ck_graph_checkpoints_through_id CHECK (through_id >= 0),
    CONSTRAINT ck_graph_checkpoints_label CHECK (
        char_length(label) <= 200
        AND label ~ '[^ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
        AND label !~ '[\u0001-\u001f\u007f-\u009f]'
    )
);

CREATE INDEX idx_graph_checkpoints_graph ON graph_checkpoints (graph_id, through_id);

COMMENT ON TABLE graph_checkpoints IS 'States of a graph to travel back to: the nearest one before a moment, then the operations after it.';
COMMENT ON COLUMN graph_checkpoints.id IS 'UUIDv7, made by the application.';
COMMENT ON COLUMN graph_checkpoints.through_id IS 'Highest crdt_operations.id in the state; no foreign key: the state outlives the rows.';
COMMENT ON COLUMN graph_checkpoints.state IS 'Yjs v1 update: every operation up to through_id, without those in pending_ids.';
COMMENT ON COLUMN graph_checkpoints.vector IS 'Yjs v1 state vector of state.';
COMMENT ON COLUMN graph_checkpoints.pending_ids IS 'Ids at or below through_id that then waited for operations they depend on.';
COMMENT ON COLUMN graph_checkpoints.label IS 'Name somebody gave it; null for one made on schedule.';
COMMENT ON COLUMN graph_checkpoints.created_by IS 'Who asked for it; the built-in user system for one made on schedule.';

GRANT SELECT, INSERT ON crdt_operations TO layercake_app;
GRANT SELECT, INSERT, UPDATE (label) ON graph_checkpoints TO layercake_app;

GRANT SELECT, INSERT, UPDATE (applied_at), DELETE ON crdt_operations TO layercake_log;
GRANT SELECT, INSERT, DELETE ON crdt_flushes, graph_checkpoints TO layercake_log;

-- migrate:down

DROP TABLE graph_checkpoints;
DROP TABLE crdt_flushes;
DROP TABLE crdt_operations;
