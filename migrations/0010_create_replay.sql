-- migrate:up

ALTER TABLE projects ADD COLUMN plan_through bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN projects.plan_through IS 'graphs.projected_through of the plan''s graph when plan_dag was last made of it.';

-- Whoever keeps the projection of a live plan up to date is the server itself.
GRANT SELECT (name, rules, plan_dag, plan_dag_version, plan_through), UPDATE (plan_dag, plan_dag_version, plan_through)
    ON projects TO layercake_log;

CREATE FUNCTION tell_plan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('layercake_plans', NEW.id::text);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION tell_plan() IS 'Sends the id of a graph of type plan whose document changed on the channel layercake_plans.';

CREATE TRIGGER tell_plan AFTER UPDATE OF projected_through ON graphs
    FOR EACH ROW WHEN (NEW.graph_type = 'plan' AND NEW.projected_through > OLD.projected_through)
    EXECUTE FUNCTION tell_plan();

CREATE TABLE project_inputs (
    project_id uuid NOT NULL,
    name text NOT NULL,
    format text NOT NULL,
    content bytea NOT NULL,
    digest text NOT NULL,
    row_count integer NOT NULL,
    uploaded_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_project_inputs PRIMARY KEY (project_id, name),
    CONSTRAINT fk_project_inputs_project_id FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT fk_project_inputs_uploaded_by FOREIGN KEY (uploaded_by) REFERENCES users (id) ON DELETE RESTRICT,
    CONSTRAINT ck_project_inputs_name CHECK (
        char_length(name) <= 200
        AND name ~ '[^ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
        AND name !~ '[\u0001-\u001f\u007f-\u009f]'
    ),
    CONSTRAINT ck_project_inputs_format CHECK (format IN ('csv', 'tsv', 'json')),
    CONSTRAINT ck_project_inputs_digest CHECK (digest ~ '^[0-9a-f]{64}$'),
    CONSTRAINT ck_project_inputs_row_count CHECK (row_count >= 0)
);

CREATE INDEX idx_project_inputs_uploaded_by ON project_inputs (uploaded_by);

COMMENT ON TABLE project_inputs IS 'Files that input nodes of a plan read, as they were uploaded.';
COMMENT ON COLUMN project_inputs.name IS 'What the source of an input node names.';
COMMENT ON COLUMN project_inputs.digest IS 'SHA-256 of content: another one means that the data changed.';
COMMENT ON COLUMN project_inputs.row_count IS 'Rows of a table, or entities of a JSON document.';

CREATE TRIGGER update_project_inputs_updated_at BEFORE UPDATE ON project_inputs
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE TABLE plan_results (
    project_id uuid NOT NULL,
    node_id text NOT NULL,
    result_key text NOT NULL,
    content bytea NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_plan_results PRIMARY KEY (project_id, node_id),
    CONSTRAINT fk_plan_results_project_id FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE
);

COMMENT ON TABLE plan_results IS 'What each node of a plan computed last, so that only what a change affects is computed again.';
COMMENT ON COLUMN plan_results.result_key IS 'Hash of all that went into it: the plan up to the node, and the digests of its data.';
COMMENT ON COLUMN plan_results.content IS 'JSON {nodes, edges, layers}.';

CREATE TABLE graph_bases (
    graph_id uuid NOT NULL,
    content bytea NOT NULL,
    dag_state_hash text NOT NULL,
    data_digest text NOT NULL,
    plan_node_id text,
    edits_through bigint NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 1,
    unseen_operations jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_graph_bases PRIMARY KEY (graph_id),
    CONSTRAINT fk_graph_bases_graph_id FOREIGN KEY (graph_id) REFERENCES graphs (id) ON DELETE CASCADE,
    CONSTRAINT ck_graph_bases_hashes CHECK (dag_state_hash ~ '^[0-9a-f]{64}$' AND data_digest ~ '^[0-9a-f]{64}$'),
    CONSTRAINT ck_graph_bases_edits_through CHECK (edits_through >= 0),
    CONSTRAINT ck_graph_bases_unseen_operations CHECK (jsonb_typeof(unseen_operations) = 'array')
);

-- Pages of it are read whole or not at all.
ALTER TABLE graph_bases ALTER COLUMN content SET STORAGE EXTERNAL;

COMMENT ON TABLE graph_bases IS 'What a plan, or the graph a copy was made of, says of a graph before people edit it. Only such graphs have manual edits.';
COMMENT ON COLUMN graph_bases.content IS 'JSON {nodes, edges, layers}.';
COMMENT ON COLUMN graph_bases.dag_state_hash IS 'SHA-256 of the plan that made it, up to its node; of the parent''s id for a copy.';
COMMENT ON COLUMN graph_bases.data_digest IS 'SHA-256 of the digests of the data that it was made of.';
COMMENT ON COLUMN graph_bases.plan_node_id IS 'The node of the project''s plan that makes it; null for a copy.';
COMMENT ON COLUMN graph_bases.edits_through IS 'Highest crdt_operations.id whose manual edits are captured.';
COMMENT ON COLUMN graph_bases.version IS 'Goes up with every replay and whenever edits are switched on or off: whoever captures edits reads them again.';
COMMENT ON COLUMN graph_bases.unseen_operations IS 'Operations that changed nothing, for what they were made on was deleted; the next summary lists them.';

CREATE TRIGGER update_graph_bases_updated_at BEFORE UPDATE OF content, dag_state_hash, data_digest ON graph_bases
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE TABLE graph_clients (
    graph_id uuid NOT NULL,
    client_id text NOT NULL,
    user_id uuid NOT NULL,
    CONSTRAINT pk_graph_clients PRIMARY KEY (graph_id, client_id),
    CONSTRAINT fk_graph_clients_graph_id FOREIGN KEY (graph_id) REFERENCES graphs (id) ON DELETE CASCADE,
    CONSTRAINT fk_graph_clients_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE RESTRICT
);

CREATE INDEX idx_graph_clients_user ON graph_clients (user_id);

COMMENT ON TABLE graph_clients IS 'Who first used each Yjs client of a graph that has a base: what others send again after a crash stays theirs.';
COMMENT ON COLUMN graph_clients.client_id IS 'Yjs client id, as in crdt_operations.';

CREATE TABLE manual_edits (
    id uuid NOT NULL,
    graph_id uuid NOT NULL,
    number bigint NOT NULL,
    operation_type text NOT NULL,
    entity_id text NOT NULL,
    operation_data jsonb NOT NULL,
    context_data jsonb NOT NULL,
    dag_state_hash text NOT NULL,
    applicability_signature text NOT NULL,
    is_active boolean NOT NULL DEFAULT TRUE,
    is_open_conflict boolean NOT NULL DEFAULT FALSE,
    first_operation_id bigint NOT NULL,
    last_operation_id bigint NOT NULL,
    last_applied_at timestamptz,
    deactivated_at timestamptz,
    deactivation_reason text,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_manual_edits PRIMARY KEY (id),
    CONSTRAINT uq_manual_edits_graph_id_number UNIQUE (graph_id, number),
    CONSTRAINT fk_manual_edits_graph_id FOREIGN KEY (graph_id) REFERENCES graphs (id) ON DELETE CASCADE,
    CONSTRAINT fk_manual_edits_created_by FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE RESTRICT,
    CONSTRAINT ck_manual_edits_operation_type CHECK (operation_type IN (
        'node_create', 'node_update', 'node_delete', 'edge_create', 'edge_update', 'edge_delete',
        'layer_create', 'layer_update', 'layer_delete'
    )),
    CONSTRAINT ck_manual_edits_operation_data CHECK (jsonb_typeof(operation_data) = 'object'),
    CONSTRAINT ck_manual_edits_context_data CHECK (jsonb_typeof(context_data) = 'object'),
    CONSTRAINT ck_manual_edits_number CHECK (number > 0),
    CONSTRAINT ck_manual_edits_hashes CHECK (
        dag_state_hash ~ '^[0-9a-f]{64}$' AND applicability_signature ~ '^[0-9a-f]{16}$'
    ),
    CONSTRAINT ck_manual_edits_operations CHECK (first_operation_id <= last_operation_id),
    CONSTRAINT ck_manual_edits_deactivated_at CHECK (is_active = (deactivated_at IS NULL)),
    CONSTRAINT ck_manual_edits_active CHECK (
        CASE WHEN is_active THEN deactivation_reason IS NULL ELSE NOT is_open_conflict END
    )
);

CREATE INDEX idx_manual_edits_graph_active ON manual_edits (graph_id, is_active);
CREATE INDEX idx_manual_edits_dag_state ON manual_edits (dag_state_hash);
CREATE INDEX idx_manual_edits_created ON manual_edits (created_at);

COMMENT ON TABLE manual_edits IS 'What people did to graphs that have a base: applied again, in order, whenever that changes. A projection of the log.';
COMMENT ON COLUMN manual_edits.id IS 'UUIDv7, made by the application.';
COMMENT ON COLUMN manual_edits.number IS 'Order within the graph, from 1: when the edit began.';
COMMENT ON COLUMN manual_edits.operation_data IS 'JSON: the whole operation (replay/operations.py).';
COMMENT ON COLUMN manual_edits.context_data IS 'JSON {session_id, client_id, editor, reason, parent_edits}: how it was made, and which edits it relies on.';
COMMENT ON COLUMN manual_edits.dag_state_hash IS 'That of the graph''s base when the edit was made.';
COMMENT ON COLUMN manual_edits.applicability_signature IS '16 hex digits of SHA-256 over what the edit relies on: while that is the same it applies without conflict.';
COMMENT ON COLUMN manual_edits.is_open_conflict IS 'Whether it is in conflict with what is upstream and somebody has to settle that.';
COMMENT ON COLUMN manual_edits.first_operation_id IS 'crdt_operations.id it began with; no foreign key: it outlives the rows.';
COMMENT ON COLUMN manual_edits.last_operation_id IS 'The last one that went into it.';
COMMENT ON COLUMN manual_edits.deactivation_reason IS 'superseded, cancelled_out, theirs, or what somebody gave.';

CREATE TABLE plan_executions (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    execution_type text NOT NULL,
    plan_dag_snapshot jsonb NOT NULL,
    targets jsonb NOT NULL DEFAULT '[]',
    status text NOT NULL,
    error_message text,
    node_runs jsonb NOT NULL DEFAULT '[]',
    started_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    execution_time_ms integer,
    generated_graphs jsonb NOT NULL DEFAULT '{}',
    generated_files jsonb NOT NULL DEFAULT '[]',
    triggered_by uuid,
    session_id text,
    CONSTRAINT pk_plan_executions PRIMARY KEY (id),
    CONSTRAINT fk_plan_executions_project_id FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT fk_plan_executions_triggered_by FOREIGN KEY (triggered_by) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT ck_plan_executions_execution_type CHECK (execution_type IN ('manual', 'automatic', 'scheduled')),
    CONSTRAINT ck_plan_executions_status CHECK (status IN ('running', 'completed', 'failed', 'cancelled')),
    CONSTRAINT ck_plan_executions_completed_at CHECK ((status = 'running') = (completed_at IS NULL)),
    CONSTRAINT ck_plan_executions_plan_dag_snapshot CHECK (jsonb_typeof(plan_dag_snapshot) = 'object'),
    CONSTRAINT ck_plan_executions_generated_graphs CHECK (jsonb_typeof(generated_graphs) = 'object'),
    CONSTRAINT ck_plan_executions_lists CHECK (
        jsonb_typeof(targets) = 'array' AND jsonb_typeof(node_runs) = 'array'
        AND jsonb_typeof(generated_files) = 'array'
    )
);

CREATE INDEX idx_plan_executions_project ON plan_executions (project_id, started_at);
CREATE INDEX idx_plan_executions_status ON plan_executions (status, started_at);
CREATE INDEX idx_plan_executions_triggered_by ON plan_executions (triggered_by, started_at);

COMMENT ON TABLE plan_executions IS 'Runs of a project''s plan.';
COMMENT ON COLUMN plan_executions.id IS 'UUIDv7, made by the application.';
COMMENT ON COLUMN plan_executions.plan_dag_snapshot IS 'The plan as it was run.';
COMMENT ON COLUMN plan_executions.targets IS 'JSON array of the nodes asked for; empty for all.';
COMMENT ON COLUMN plan_executions.node_runs IS 'JSON array of {id, status, ms, error}, in the order in which nodes run.';
COMMENT ON COLUMN plan_executions.generated_graphs IS 'JSON object: the graph that each node made or rebuilt.';
COMMENT ON COLUMN plan_executions.generated_files IS 'JSON array of what output nodes wrote: {node_id, format, file_name, size_bytes}.';
COMMENT ON COLUMN plan_executions.session_id IS 'MCP session if an agent asked for it.';

CREATE TABLE export_operations (
    id uuid NOT NULL,
    graph_id uuid,
    execution_id uuid,
    node_id text,
    format text NOT NULL,
    output_path text NOT NULL,
    file_size bigint,
    content bytea,
    render_config jsonb NOT NULL DEFAULT '{}',
    graph_config jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL,
    error_message text,
    started_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    export_time_ms integer,
    triggered_by uuid,
    CONSTRAINT pk_export_operations PRIMARY KEY (id),
    CONSTRAINT fk_export_operations_graph_id FOREIGN KEY (graph_id) REFERENCES graphs (id) ON DELETE CASCADE,
    CONSTRAINT fk_export_operations_execution_id FOREIGN KEY (execution_id) REFERENCES plan_executions (id) ON DELETE CASCADE,
    CONSTRAINT fk_export_operations_triggered_by FOREIGN KEY (triggered_by) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT ck_export_operations_status CHECK (status IN ('pending', 'completed', 'failed')),
    CONSTRAINT ck_export_operations_completed_at CHECK ((status = 'pending') = (completed_at IS NULL)),
    CONSTRAINT ck_export_operations_configs CHECK (
        jsonb_typeof(render_config) = 'object' AND jsonb_typeof(graph_config) = 'object'
    ),
    CONSTRAINT ck_export_operations_of CHECK (graph_id IS NOT NULL OR execution_id IS NOT NULL)
);

CREATE INDEX idx_export_operations_graph ON export_operations (graph_id, started_at);
CREATE INDEX idx_export_operations_execution ON export_operations (execution_id);
CREATE INDEX idx_export_operations_status ON export_operations (status, started_at);
CREATE INDEX idx_export_operations_triggered_by ON export_operations (triggered_by);

COMMENT ON TABLE export_operations IS 'Files that output nodes of a plan wrote.';
COMMENT ON COLUMN export_operations.graph_id IS 'The graph it shows; null for what a node computed that is no graph of its own.';
COMMENT ON COLUMN export_operations.execution_id IS 'The run of the plan that wrote it.';
COMMENT ON COLUMN export_operations.node_id IS 'The output node of the plan.';
COMMENT ON COLUMN export_operations.output_path IS 'Name of the file; it is kept in content.';
COMMENT ON COLUMN export_operations.content IS 'The file.';

CREATE TABLE edit_replay_summaries (
    id uuid NOT NULL,
    graph_id uuid NOT NULL,
    cause text NOT NULL,
    execution_id uuid,
    applied_edits jsonb NOT NULL,
    already_applied_edits jsonb NOT NULL DEFAULT '[]',
    conflicts jsonb NOT NULL DEFAULT '[]',
    failed_edits jsonb NOT NULL,
    inapplicable_edits jsonb NOT NULL,
    warnings jsonb NOT NULL DEFAULT '[]',
    removed_entities jsonb NOT NULL DEFAULT '[]',
    unseen_operations jsonb NOT NULL DEFAULT '[]',
    replay_timestamp timestamptz NOT NULL DEFAULT now(),
    dag_state_hash text NOT NULL,
    data_digest text NOT NULL,
    triggered_by uuid,
    CONSTRAINT pk_edit_replay_summaries PRIMARY KEY (id),
    CONSTRAINT fk_edit_replay_summaries_graph_id FOREIGN KEY (graph_id) REFERENCES graphs (id) ON DELETE CASCADE,
    CONSTRAINT fk_edit_replay_summaries_execution_id FOREIGN KEY (execution_id) REFERENCES plan_executions (id) ON DELETE SET NULL,
    CONSTRAINT fk_edit_replay_summaries_triggered_by FOREIGN KEY (triggered_by) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT ck_edit_replay_summaries_cause CHECK (cause IN ('plan', 'request', 'parent', 'edits')),
    CONSTRAINT ck_edit_replay_summaries_lists CHECK (
        jsonb_typeof(applied_edits) = 'array' AND jsonb_typeof(already_applied_edits) = 'array'
        AND jsonb_typeof(conflicts) = 'array' AND jsonb_typeof(failed_edits) = 'array'
        AND jsonb_typeof(inapplicable_edits) = 'array' AND jsonb_typeof(warnings) = 'array'
        AND jsonb_typeof(removed_entities) = 'array' AND jsonb_typeof(unseen_operations) = 'array'
    ),
    CONSTRAINT ck_edit_replay_summaries_hashes CHECK (
        dag_state_hash ~ '^[0-9a-f]{64}$' AND data_digest ~ '^[0-9a-f]{64}$'
    )
);

CREATE INDEX idx_edit_replay_summaries_graph ON edit_replay_summaries (graph_id, replay_timestamp);
CREATE INDEX idx_edit_replay_summaries_execution ON edit_replay_summaries (execution_id);
CREATE INDEX idx_edit_replay_summaries_triggered_by ON edit_replay_summaries (triggered_by);

COMMENT ON TABLE edit_replay_summaries IS 'What became of the manual edits of a graph each time it was rebuilt.';
COMMENT ON COLUMN edit_replay_summaries.id IS 'UUIDv7, made by the application.';
COMMENT ON COLUMN edit_replay_summaries.cause IS 'plan: the plan or its data changed; request: somebody asked; parent: the graph it was copied from changed; edits: an edit was switched on or off.';
COMMENT ON COLUMN edit_replay_summaries.applied_edits IS 'JSON array of edit ids.';
COMMENT ON COLUMN edit_replay_summaries.already_applied_edits IS 'JSON array of edit ids whose effect was there already.';
COMMENT ON COLUMN edit_replay_summaries.conflicts IS 'JSON array of {edit_id, reason, message, fields, settled}: what changed upstream under an edit.';
COMMENT ON COLUMN edit_replay_summaries.failed_edits IS 'JSON array of {edit_id, reason, message}.';
COMMENT ON COLUMN edit_replay_summaries.inapplicable_edits IS 'JSON array of {edit_id, reason, message}.';
COMMENT ON COLUMN edit_replay_summaries.removed_entities IS 'JSON array of {root, id, fields}: what went while it held a position, content or fields nobody here knows.';
COMMENT ON COLUMN edit_replay_summaries.unseen_operations IS 'JSON array of operations that changed nothing, for what they were made on was deleted.';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'project_inputs', 'plan_results', 'graph_bases', 'graph_clients', 'manual_edits', 'plan_executions',
        'export_operations', 'edit_replay_summaries'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY service ON %I TO layercake_log USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO layercake_log', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['manual_edits', 'edit_replay_summaries'] LOOP
        EXECUTE format($policy$
            CREATE POLICY read ON %I FOR SELECT TO layercake_app USING (
                CASE WHEN (SELECT caller_is_about_one_graph()) THEN graph_id = (SELECT caller_graph('viewer'))
                ELSE role_in_graph(graph_id) IS NOT NULL END
            )
        $policy$, name);
    END LOOP;
END
$$;

CREATE POLICY change ON manual_edits FOR UPDATE TO layercake_app USING (graph_id = (SELECT caller_graph('member')));
CREATE POLICY read ON graph_bases FOR SELECT TO layercake_app USING (role_in_graph(graph_id) IS NOT NULL);
CREATE POLICY make ON graph_bases FOR INSERT TO layercake_app WITH CHECK (graph_id = (SELECT caller_graph('member')));
CREATE POLICY change ON graph_bases FOR UPDATE TO layercake_app USING (graph_id = (SELECT caller_graph('member')));
CREATE POLICY read ON project_inputs FOR SELECT TO layercake_app
    USING (EXISTS (SELECT FROM projects p WHERE p.id = project_id));
CREATE POLICY make ON project_inputs FOR INSERT TO layercake_app
    WITH CHECK (uploaded_by = (SELECT caller_id()) AND is_at_least(role_in_project(project_id), 'member'));
CREATE POLICY change ON project_inputs FOR UPDATE TO layercake_app
    USING (is_at_least(role_in_project(project_id), 'member'))
    WITH CHECK (uploaded_by = (SELECT caller_id()) AND is_at_least(role_in_project(project_id), 'member'));
CREATE POLICY remove ON project_inputs FOR DELETE TO layercake_app
    USING (is_at_least(role_in_project(project_id), 'member'));
CREATE POLICY read ON plan_executions FOR SELECT TO layercake_app
    USING (EXISTS (SELECT FROM projects p WHERE p.id = project_id));
CREATE POLICY read ON export_operations FOR SELECT TO layercake_app USING (
    CASE WHEN graph_id IS NULL THEN EXISTS (SELECT FROM plan_executions e WHERE e.id = execution_id)
    ELSE role_in_graph(graph_id) IS NOT NULL END
);

GRANT SELECT, UPDATE (is_active, is_open_conflict, operation_data, deactivated_at, deactivation_reason)
    ON manual_edits TO layercake_app;
GRANT SELECT ON edit_replay_summaries, plan_executions, export_operations TO layercake_app;
GRANT SELECT (graph_id, dag_state_hash, data_digest, plan_node_id, edits_through, version), INSERT (
    graph_id, content, dag_state_hash, data_digest, plan_node_id
), UPDATE (version) ON graph_bases TO layercake_app;
GRANT SELECT, INSERT, UPDATE (format, content, digest, row_count, uploaded_by), DELETE ON project_inputs TO layercake_app;

-- migrate:down

DROP TABLE edit_replay_summaries, export_operations, plan_executions, manual_edits, graph_clients, graph_bases,
    plan_results, project_inputs;
DROP TRIGGER tell_plan ON graphs;
DROP FUNCTION tell_plan();
REVOKE SELECT (name, rules, plan_dag, plan_dag_version), UPDATE (plan_dag, plan_dag_version) ON projects FROM layercake_log;
ALTER TABLE projects DROP COLUMN plan_through;
