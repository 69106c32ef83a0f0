-- migrate:up

CREATE TABLE projects (
    id uuid NOT NULL,
    name text NOT NULL,
    description text,
    plan_dag jsonb NOT NULL DEFAULT '{"version":"1.0","nodes":[],"edges":[],"metadata":{}}',
    plan_dag_version text NOT NULL DEFAULT '1.0',
    rules jsonb NOT NULL DEFAULT '{}',
    group_id uuid NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CONSTRAINT pk_projects PRIMARY KEY (id),
    CONSTRAINT fk_projects_group_id FOREIGN KEY (group_id) REFERENCES groups (id) ON DELETE CASCADE,
    CONSTRAINT fk_projects_created_by FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE RESTRICT,
    CONSTRAINT ck_projects_name CHECK (
        char_length(name) <= 200
        AND name ~ '[^ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
        AND name !~ '[\u0001-\u001f\u007f-\u009f]'
    ),
    CONSTRAINT ck_projects_plan_dag CHECK (jsonb_typeof(plan_dag) = 'object'),
    CONSTRAINT ck_projects_rules CHECK (jsonb_typeof(rules) = 'object')
);

CREATE INDEX idx_projects_group ON projects (group_id);
CREATE INDEX idx_projects_created_by ON projects (created_by);
CREATE INDEX idx_projects_updated ON projects (updated_at);

COMMENT ON TABLE projects IS 'A group''s folder of graphs, with the plan that computes some of them.';
COMMENT ON COLUMN projects.id IS 'UUIDv7, made by the application.';
COMMENT ON COLUMN projects.plan_dag IS 'The plan {version, nodes, edges, metadata}: a projection of the live plan document.';
COMMENT ON COLUMN projects.plan_dag_version IS 'Version of the plan''s format, not of its content.';
COMMENT ON COLUMN projects.rules IS 'JSON object of scope rules, gates and triggers.';
COMMENT ON COLUMN projects.group_id IS 'The group whose roles decide who may do what with the project and its graphs.';
COMMENT ON COLUMN projects.deleted_at IS 'When it was put in the bin, and its graphs with it; null outside.';

CREATE TRIGGER update_projects_updated_at BEFORE UPDATE ON projects
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE TABLE graphs (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text NOT NULL,
    description text,
    graph_type text NOT NULL DEFAULT 'data',
    parent_graph_id uuid,
    crdt_state bytea,
    crdt_vector bytea,
    crdt_through bigint NOT NULL DEFAULT 0,
    crdt_pending_ids bigint[] NOT NULL DEFAULT '{}',
    projected_through bigint NOT NULL DEFAULT 0,
    projection_warnings integer NOT NULL DEFAULT 0,
    metadata jsonb NOT NULL DEFAULT '{}',
    node_count integer NOT NULL DEFAULT 0,
    edge_count integer NOT NULL DEFAULT 0,
    layer_count integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CONSTRAINT pk_graphs PRIMARY KEY (id),
    CONSTRAINT fk_graphs_project_id FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT fk_graphs_parent_graph_id FOREIGN KEY (parent_graph_id) REFERENCES graphs (id) ON DELETE SET NULL,
    CONSTRAINT ck_graphs_name CHECK (
        char_length(name) <= 200
        AND name ~ '[^ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
        AND name !~ '[\u0001-\u001f\u007f-\u009f]'
    ),
    CONSTRAINT ck_graphs_graph_type CHECK (graph_type IN ('data', 'reference', 'computed', 'plan', 'chain')),
    CONSTRAINT ck_graphs_parent_graph_id CHECK (parent_graph_id <> id),
    CONSTRAINT ck_graphs_crdt_state CHECK ((crdt_state IS NULL) = (crdt_vector IS NULL)),
    CONSTRAINT ck_graphs_crdt_through CHECK (crdt_through >= 0 AND projected_through >= 0),
    CONSTRAINT ck_graphs_metadata CHECK (jsonb_typeof(metadata) = 'object'),
    CONSTRAINT ck_graphs_counts CHECK (
        node_count >= 0 AND edge_count >= 0 AND layer_count >= 0 AND projection_warnings >= 0
    )
);

CREATE INDEX idx_graphs_project ON graphs (project_id);
CREATE INDEX idx_graphs_parent ON graphs (parent_graph_id);
CREATE INDEX idx_graphs_type ON graphs (graph_type);
CREATE INDEX idx_graphs_updated ON graphs (updated_at);

COMMENT ON TABLE graphs IS 'One live document each: its compacted Yjs state, and how far its projections have come.';
COMMENT ON COLUMN graphs.id IS 'UUIDv7, made by the application; the document''s name in both websocket dialects.';
COMMENT ON COLUMN graphs.graph_type IS 'data: drawn or imported; reference: shared by others; computed: result of a plan; plan: the plan itself; chain: a chain of documents and agents.';
COMMENT ON COLUMN graphs.parent_graph_id IS 'The graph this one was copied from, whose changes flow here by lineage id.';
COMMENT ON COLUMN graphs.crdt_state IS 'Yjs v1 update: every operation up to crdt_through, without those in crdt_pending_ids. Null before the first compaction.';
COMMENT ON COLUMN graphs.crdt_vector IS 'Yjs v1 state vector of crdt_state. It does not see deletes: never compare it to decide what is stored.';
COMMENT ON COLUMN graphs.crdt_through IS 'Highest crdt_operations.id merged into crdt_state; loading reads the rows after it.';
COMMENT ON COLUMN graphs.crdt_pending_ids IS 'Ids at or below crdt_through that wait for operations they depend on, and are loaded along.';
COMMENT ON COLUMN graphs.projected_through IS 'Highest crdt_operations.id that nodes, edges, layers and the counters show.';
COMMENT ON COLUMN graphs.projection_warnings IS 'Fields of the document that were no valid value and show their default in the rows.';
COMMENT ON COLUMN graphs.metadata IS 'JSON object of custom metadata.';
COMMENT ON COLUMN graphs.updated_at IS 'Last change of the graph or its content; compaction does not count.';
COMMENT ON COLUMN graphs.deleted_at IS 'When it was put in the bin; null outside.';

-- Compaction rewrites crdt_* and changes nothing that anybody sees.
CREATE TRIGGER update_graphs_updated_at
    BEFORE UPDATE OF project_id, name, description, graph_type, parent_graph_id, projected_through, metadata, deleted_at
    ON graphs FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

-- Nodes, edges and layers are a projection of the log. Ends, parents and layers are no foreign keys: a document
-- may name what another person has just deleted, and the rows tell what the document says.

CREATE TABLE nodes (
    id bigint GENERATED ALWAYS AS IDENTITY,
    graph_id uuid NOT NULL,
    node_id text NOT NULL,
    label text NOT NULL DEFAULT '',
    layer_id text,
    is_partition boolean NOT NULL DEFAULT FALSE,
    belongs_to text,
    weight double precision NOT NULL DEFAULT 1,
    comment text,
    "position" jsonb,
    content text,
    properties jsonb NOT NULL DEFAULT '{}',
    lineage_id uuid NOT NULL,
    source_node_id bigint,
    crdt_item_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_nodes PRIMARY KEY (id),
    CONSTRAINT uq_nodes_graph_id_node_id UNIQUE (graph_id, node_id),
    CONSTRAINT fk_nodes_graph_id FOREIGN KEY (graph_id) REFERENCES graphs (id) ON DELETE CASCADE,
    CONSTRAINT fk_nodes_source_node_id FOREIGN KEY (source_node_id) REFERENCES nodes (id) ON DELETE SET NULL,
    CONSTRAINT ck_nodes_node_id CHECK (octet_length(node_id) <= 1024),
    CONSTRAINT ck_nodes_weight CHECK (weight > '-Infinity' AND weight < 'Infinity'),
    CONSTRAINT ck_nodes_properties CHECK (jsonb_typeof(properties) = 'object')
);

CREATE INDEX idx_nodes_lineage ON nodes (lineage_id);
CREATE INDEX idx_nodes_source ON nodes (source_node_id) WHERE source_node_id IS NOT NULL;

COMMENT ON TABLE nodes IS 'The nodes of every graph, as its document says: a projection of crdt_operations.';
COMMENT ON COLUMN nodes.id IS 'Key of the row only; the node is (graph_id, node_id).';
COMMENT ON COLUMN nodes.node_id IS 'Its key in the document''s map nodes.';
COMMENT ON COLUMN nodes.layer_id IS 'Field layer: key of a layer that may not exist.';
COMMENT ON COLUMN nodes.belongs_to IS 'Key of the containing node, which may not exist.';
COMMENT ON COLUMN nodes.weight IS 'Binary64, as in Yjs; an integral one is written as an integer.';
COMMENT ON COLUMN nodes."position" IS 'Where the editor draws it, as JSON; layout, not an edit.';
COMMENT ON COLUMN nodes.content IS 'Text of a node that is a document (Y.Text); null elsewhere.';
COMMENT ON COLUMN nodes.lineage_id IS 'The same through copies of the graph; UUIDv5 of graph and node where the document has none.';
COMMENT ON COLUMN nodes.source_node_id IS 'The row this node was copied from.';
COMMENT ON COLUMN nodes.crdt_item_id IS 'Yjs id client:clock of the item that holds the node.';

CREATE TRIGGER update_nodes_updated_at BEFORE UPDATE ON nodes
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE TABLE edges (
    id bigint GENERATED ALWAYS AS IDENTITY,
    graph_id uuid NOT NULL,
    edge_id text NOT NULL,
    source_node_id text NOT NULL,
    target_node_id text NOT NULL,
    label text NOT NULL DEFAULT '',
    layer_id text,
    weight double precision NOT NULL DEFAULT 1,
    comment text,
    properties jsonb NOT NULL DEFAULT '{}',
    lineage_id uuid NOT NULL,
    source_edge_id bigint,
    crdt_item_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_edges PRIMARY KEY (id),
    CONSTRAINT uq_edges_graph_id_edge_id UNIQUE (graph_id, edge_id),
    CONSTRAINT fk_edges_graph_id FOREIGN KEY (graph_id) REFERENCES graphs (id) ON DELETE CASCADE,
    CONSTRAINT fk_edges_source_edge_id FOREIGN KEY (source_edge_id) REFERENCES edges (id) ON DELETE SET NULL,
    CONSTRAINT ck_edges_edge_id CHECK (octet_length(edge_id) <= 1024),
    CONSTRAINT ck_edges_ends CHECK (octet_length(source_node_id) <= 1024 AND octet_length(target_node_id) <= 1024),
    CONSTRAINT ck_edges_weight CHECK (weight > '-Infinity' AND weight < 'Infinity'),
    CONSTRAINT ck_edges_properties CHECK (jsonb_typeof(properties) = 'object')
);

CREATE INDEX idx_edges_source_target ON edges (graph_id, source_node_id, target_node_id);
CREATE INDEX idx_edges_target ON edges (graph_id, target_node_id);
CREATE INDEX idx_edges_lineage ON edges (lineage_id);
CREATE INDEX idx_edges_source_edge ON edges (source_edge_id) WHERE source_edge_id IS NOT NULL;

COMMENT ON TABLE edges IS 'The edges of every graph, as its document says: a projection of crdt_operations. Parallel and dangling ones are real.';
COMMENT ON COLUMN edges.id IS 'Key of the row only; the edge is (graph_id, edge_id).';
COMMENT ON COLUMN edges.edge_id IS 'Its key in the document''s map edges.';
COMMENT ON COLUMN edges.source_node_id IS 'Field source: key of a node that may not exist.';
COMMENT ON COLUMN edges.target_node_id IS 'Field target: key of a node that may not exist.';
COMMENT ON COLUMN edges.layer_id IS 'Field layer: key of a layer that may not exist.';
COMMENT ON COLUMN edges.weight IS 'Binary64, as in Yjs; an integral one is written as an integer.';
COMMENT ON COLUMN edges.lineage_id IS 'The same through copies of the graph; UUIDv5 of graph and edge where the document has none.';
COMMENT ON COLUMN edges.source_edge_id IS 'The row this edge was copied from.';
COMMENT ON COLUMN edges.crdt_item_id IS 'Yjs id client:clock of the item that holds the edge.';

CREATE TRIGGER update_edges_updated_at BEFORE UPDATE ON edges
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE TABLE layers (
    id bigint GENERATED ALWAYS AS IDENTITY,
    graph_id uuid NOT NULL,
    layer_id text NOT NULL,
    name text NOT NULL DEFAULT '',
    background_color text,
    text_color text,
    border_color text,
    properties jsonb NOT NULL DEFAULT '{}',
    lineage_id uuid NOT NULL,
    source_layer_id bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_layers PRIMARY KEY (id),
    CONSTRAINT uq_layers_graph_id_layer_id UNIQUE (graph_id, layer_id),
    CONSTRAINT fk_layers_graph_id FOREIGN KEY (graph_id) REFERENCES graphs (id) ON DELETE CASCADE,
    CONSTRAINT fk_layers_source_layer_id FOREIGN KEY (source_layer_id) REFERENCES layers (id) ON DELETE SET NULL,
    CONSTRAINT ck_layers_layer_id CHECK (octet_length(layer_id) <= 1024),
    CONSTRAINT ck_layers_properties CHECK (jsonb_typeof(properties) = 'object')
);

CREATE INDEX idx_layers_lineage ON layers (lineage_id);
CREATE INDEX idx_layers_source ON layers (source_layer_id) WHERE source_layer_id IS NOT NULL;

COMMENT ON TABLE layers IS 'The layers of every graph, as its document says: a projection of crdt_operations.';
COMMENT ON COLUMN layers.id IS 'Key of the row only; the layer is (graph_id, layer_id).';
COMMENT ON COLUMN layers.layer_id IS 'Its key in the document''s map layers.';
COMMENT ON COLUMN layers.name IS 'As in the document: it may be empty.';
COMMENT ON COLUMN layers.lineage_id IS 'The same through copies of the graph; UUIDv5 of graph and layer, which the document does not hold.';
COMMENT ON COLUMN layers.source_layer_id IS 'The row this layer was copied from.';

CREATE TRIGGER update_layers_updated_at BEFORE UPDATE ON layers
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

-- No DELETE on projects and graphs for requests: it would cascade into the log. They go to the bin.
GRANT SELECT, INSERT, UPDATE ON projects TO layercake_app;
GRANT SELECT (id, deleted_at) ON projects TO layercake_log;
GRANT SELECT, INSERT ON graphs TO layercake_app;
GRANT UPDATE (name, description, graph_type, parent_graph_id, metadata, deleted_at) ON graphs TO layercake_app;
GRANT SELECT ON nodes, edges, layers TO layercake_app;

GRANT SELECT ON graphs TO layercake_log;
GRANT UPDATE (
    crdt_state, crdt_vector, crdt_through, crdt_pending_ids,
    projected_through, projection_warnings, node_count, edge_count, layer_count
) ON graphs TO layercake_log;
GRANT SELECT, INSERT, UPDATE, DELETE ON nodes, edges, layers TO layercake_log;

-- migrate:down

DROP TABLE layers;
DROP TABLE edges;
DROP TABLE nodes;
DROP TABLE graphs;
DROP TABLE projects;
