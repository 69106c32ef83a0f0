-- migrate:up

-- What was done to projects and graphs, and by whom. A row is written in the transaction of the act it tells of.

CREATE TABLE event_streams (
    stream_id uuid NOT NULL,
    last_version integer NOT NULL,
    CONSTRAINT pk_event_streams PRIMARY KEY (stream_id),
    CONSTRAINT ck_event_streams_last_version CHECK (last_version >= 1)
);

COMMENT ON TABLE event_streams IS 'The last version of every stream: one row to lock, so that concurrent appends wait for each other and versions have no gaps.';
COMMENT ON COLUMN event_streams.stream_id IS 'The project or graph; no foreign key: the history of what was purged stays.';

-- Unique keys of a partitioned table hold the partition key, so (stream_id, version) is kept unique by event_streams.
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    stream_id uuid NOT NULL,
    version integer NOT NULL,
    event_type text NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}',
    user_id uuid NOT NULL,
    project_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_events PRIMARY KEY (id, created_at),
    CONSTRAINT fk_events_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE RESTRICT,
    CONSTRAINT ck_events_version CHECK (version >= 1),
    CONSTRAINT ck_events_event_type CHECK (event_type ~ '^[a-z_]+\.[a-z_]+$'),
    CONSTRAINT ck_events_payload CHECK (jsonb_typeof(payload) = 'object')
) PARTITION BY RANGE (created_at);

CREATE TABLE events_default PARTITION OF events DEFAULT;

CREATE INDEX idx_events_stream ON events (stream_id, id);
CREATE INDEX idx_events_project ON events (project_id, id);

COMMENT ON TABLE events IS 'Every act on a project or graph, in order, with who did it. Only ever extended; outlives what it tells of.';
COMMENT ON COLUMN events.id IS 'Order of storing; newer events of a stream have higher ones.';
COMMENT ON COLUMN events.stream_id IS 'What it was done to. No foreign key, so that a purge leaves the history.';
COMMENT ON COLUMN events.version IS 'Number of the event within its stream, from 1 without gaps.';
COMMENT ON COLUMN events.event_type IS 'Kind of entity and what was done: graph.renamed.';
COMMENT ON COLUMN events.payload IS 'JSON object; a change has old and new.';
COMMENT ON COLUMN events.user_id IS 'Who did it. RESTRICT: people are disabled and anonymised, never deleted.';
COMMENT ON COLUMN events.project_id IS 'The project it belongs to, that of its graph included; no foreign key, as of stream_id.';
COMMENT ON COLUMN events.created_at IS 'When the transaction of the act began.';

-- A month is made while nothing of it is stored yet. Should that be missed, the default partition takes its rows and
-- keeps them. Making one waits for nobody longer than a moment, since everybody who appends would wait behind it.
CREATE FUNCTION create_event_partitions(months_ahead integer)
RETURNS integer AS $$
DECLARE
    month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    since timestamptz;
    until timestamptz;
    partition_name text;
    made integer := 0;
BEGIN
    FOR ahead IN 0..months_ahead LOOP
        partition_name := 'events_' || to_char(month, 'YYYY_MM');
        since := month AT TIME ZONE 'UTC';
        month := month + interval '1 month';
        until := month AT TIME ZONE 'UTC';
        IF to_regclass(partition_name) IS NULL THEN
            LOCK TABLE events IN ACCESS EXCLUSIVE MODE;
            IF to_regclass(partition_name) IS NULL
                AND NOT EXISTS (SELECT FROM events_default WHERE created_at >= since AND created_at < until)
            THEN
                EXECUTE format(
                    'CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)', partition_name, since, until
                );
                made := made + 1;
            END IF;
        END IF;
    END LOOP;
    RETURN made;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s';

COMMENT ON FUNCTION create_event_partitions(integer) IS 'Makes the partitions of events for this month and the next ones (UTC) that are missing; returns how many.';

-- What is in the bin can be deleted for ever, by these two functions and by nothing else.

CREATE FUNCTION purge_graph(purged_id uuid)
RETURNS TABLE (project_id uuid, name text, description text) AS $$
    DELETE FROM graphs g USING projects p
    WHERE g.id = purged_id AND g.deleted_at IS NOT NULL AND p.id = g.project_id AND p.deleted_at IS NULL
    RETURNING g.project_id, g.name, g.description
$$ LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp;

COMMENT ON FUNCTION purge_graph(uuid) IS 'Deletes a graph that is in the bin of its project, with its log; returns what it was, or no row.';

CREATE FUNCTION purge_project(purged_id uuid)
RETURNS TABLE (name text, description text, graphs jsonb) AS $$
    WITH graphs_of AS (
        SELECT coalesce(jsonb_agg(jsonb_build_object('id', g.id, 'name', g.name) ORDER BY g.id), '[]') AS all_of_them
        FROM graphs g WHERE g.project_id = purged_id
    )
    DELETE FROM projects p USING graphs_of
    WHERE p.id = purged_id AND p.deleted_at IS NOT NULL
    RETURNING p.name, p.description, graphs_of.all_of_them
$$ LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp;

COMMENT ON FUNCTION purge_project(uuid) IS 'Deletes a project that is in the bin, with its graphs and their logs; returns what it was, or no row.';

REVOKE EXECUTE ON FUNCTION create_event_partitions(integer), purge_graph(uuid), purge_project(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION create_event_partitions(integer), purge_graph(uuid), purge_project(uuid) TO layercake_log;

GRANT SELECT, INSERT ON events TO layercake_app, layercake_log;
GRANT SELECT, INSERT, UPDATE (last_version) ON event_streams TO layercake_app, layercake_log;

SELECT create_event_partitions(3);

-- migrate:down

DROP FUNCTION purge_project(uuid);
DROP FUNCTION purge_graph(uuid);
DROP FUNCTION create_event_partitions(integer);
DROP TABLE events;
DROP TABLE event_streams;
