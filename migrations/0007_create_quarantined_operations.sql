-- migrate:up

-- A mark beside the row, not in it: the log is only ever extended.
CREATE TABLE quarantined_operations (
    operation_id bigint NOT NULL,
    graph_id uuid NOT NULL,
    reason text NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_quarantined_operations PRIMARY KEY (operation_id),
    CONSTRAINT fk_quarantined_operations_operation_id FOREIGN KEY (operation_id)
        REFERENCES crdt_operations (id) ON DELETE CASCADE,
    CONSTRAINT fk_quarantined_operations_graph_id FOREIGN KEY (graph_id) REFERENCES graphs (id) ON DELETE CASCADE,
    CONSTRAINT ck_quarantined_operations_reason CHECK (reason <> '')
);

CREATE INDEX idx_quarantined_operations_graph ON quarantined_operations (graph_id);

COMMENT ON TABLE quarantined_operations IS 'Operations that would bring their graph''s document down: kept in the log, left out by every load until they are released.';
COMMENT ON COLUMN quarantined_operations.operation_id IS 'The row of crdt_operations that is left out.';
COMMENT ON COLUMN quarantined_operations.graph_id IS 'Its graph, so that loading one looks at that graph''s marks only.';
COMMENT ON COLUMN quarantined_operations.reason IS 'What went wrong when it was applied, in a sentence.';
COMMENT ON COLUMN quarantined_operations.quarantined_at IS 'When it was found; again after a release that did not help.';

GRANT SELECT ON quarantined_operations TO layercake_app;
GRANT SELECT, INSERT, DELETE ON quarantined_operations TO layercake_log;

-- migrate:down

DROP TABLE quarantined_operations;
