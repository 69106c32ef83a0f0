-- migrate:up

-- Row level security: a request sees and changes rows of its caller's groups only, whatever its statements say. The
-- caller is set for each transaction (persistence/database.py):
--   app.user_id     who it is; nobody sees anything without
--   app.grant       'graph id:role' if the caller's token gives a role in one graph, and no group counts
--   app.graph_id    the one graph that the transaction is about, if it is; checked once a statement instead of once a row
--   app.everywhere  'on' for the operator of the machine, who has the database anyway

CREATE FUNCTION caller_id() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT nullif(current_setting('app.user_id', true), '')::uuid
$$;

CREATE FUNCTION caller_is_everywhere() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('app.everywhere', true), '') = 'on'
$$;

CREATE FUNCTION caller_has_grant() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('app.grant', true), '') <> ''
$$;

CREATE FUNCTION caller_is_active() RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM users WHERE id = caller_id() AND is_active)
$$;

-- Whose account the caller may look after: nobody's with a grant.
CREATE FUNCTION caller_account() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT caller_id() WHERE NOT caller_has_grant() AND caller_is_active()
$$;

CREATE FUNCTION is_at_least(role text, minimum text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(
        array_position(ARRAY['viewer', 'member', 'admin'], role) >= array_position(ARRAY['viewer', 'member', 'admin'], minimum),
        false
    )
$$;

CREATE FUNCTION role_of_user_in_graph(user_id uuid, graph_id uuid) RETURNS text LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT CASE WHEN m.role = 'admin' THEN m.role WHEN r.role = 'none' THEN NULL ELSE coalesce(r.role, m.role) END
    FROM graphs g
    JOIN projects p ON p.id = g.project_id
    JOIN users u ON u.id = $1 AND u.is_active
    LEFT JOIN group_memberships m ON m.group_id = p.group_id AND m.user_id = u.id
    LEFT JOIN graph_roles r ON r.graph_id = g.id AND r.user_id = u.id
    WHERE g.id = $2
$$;

CREATE FUNCTION graph_is_there(graph_id uuid) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM graphs g JOIN projects p ON p.id = g.project_id
        WHERE g.id = $1 AND g.deleted_at IS NULL AND p.deleted_at IS NULL
    )
$$;

CREATE FUNCTION graph_has_project(graph_id uuid) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM graphs g JOIN projects p ON p.id = g.project_id WHERE g.id = $1 AND p.deleted_at IS NULL
    )
$$;

CREATE FUNCTION role_in_graph(graph_id uuid) RETURNS text LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT CASE
        WHEN caller_is_everywhere() THEN (SELECT 'admin' FROM graphs WHERE id = $1)
        WHEN caller_has_grant() THEN (
            SELECT split_part(current_setting('app.grant', true), ':', 2) FROM graphs
            WHERE id = $1 AND id::text = split_part(current_setting('app.grant', true), ':', 1) AND caller_is_active()
        )
        ELSE role_of_user_in_graph(caller_id(), $1)
    END
$$;

CREATE FUNCTION role_in_group(group_id uuid) RETURNS text LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT CASE
        WHEN caller_is_everywhere() THEN 'admin'
        WHEN caller_has_grant() THEN NULL
        ELSE (
            SELECT m.role FROM group_memberships m JOIN users u ON u.id = m.user_id AND u.is_active
            WHERE m.group_id = $1 AND m.user_id = caller_id()
        )
    END
$$;

CREATE FUNCTION role_in_project(project_id uuid) RETURNS text LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT role_in_group(p.group_id) FROM projects p WHERE p.id = $1
$$;

-- What role_in_graph says of each graph of a project; asked for each it would cost most of a list's time.
CREATE FUNCTION caller_roles_in_project(project_id uuid) RETURNS TABLE (graph_id uuid, role text) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT g.id, CASE WHEN own.role = 'admin' THEN own.role WHEN r.role = 'none' THEN NULL ELSE coalesce(r.role, own.role) END
    FROM graphs g CROSS JOIN (SELECT role_in_project($1) AS role) AS own
    LEFT JOIN graph_roles r ON r.graph_id = g.id AND r.user_id = caller_account()
    WHERE g.project_id = $1
$$;

CREATE FUNCTION caller_is_admin() RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT caller_is_everywhere() OR (
        NOT caller_has_grant()
        AND EXISTS (SELECT FROM users WHERE id = caller_id() AND is_active AND role = 'admin')
    )
$$;

CREATE FUNCTION caller_groups(minimum text) RETURNS SETOF uuid LANGUAGE sql STABLE ROWS 10
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT m.group_id FROM group_memberships m JOIN users u ON u.id = m.user_id AND u.is_active
    WHERE m.user_id = caller_id() AND NOT caller_has_grant() AND is_at_least(m.role, $1)
    UNION
    SELECT id FROM groups WHERE caller_is_everywhere()
$$;

-- Graphs in which the caller is more, or less, than in their group.
CREATE FUNCTION caller_shared_graphs(minimum text) RETURNS SETOF uuid LANGUAGE sql STABLE ROWS 10
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.graph_id FROM graph_roles r
    WHERE r.user_id = caller_id() AND NOT caller_has_grant() AND is_at_least(role_in_graph(r.graph_id), $1)
    UNION
    SELECT split_part(current_setting('app.grant', true), ':', 1)::uuid
    WHERE caller_has_grant() AND caller_is_active()
        AND is_at_least(split_part(current_setting('app.grant', true), ':', 2), $1)
$$;

CREATE FUNCTION caller_hidden_graphs(minimum text) RETURNS SETOF uuid LANGUAGE sql STABLE ROWS 10
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.graph_id FROM graph_roles r
    WHERE r.user_id = caller_id() AND NOT caller_is_everywhere() AND NOT is_at_least(role_in_graph(r.graph_id), $1)
$$;

-- The graph that the transaction is about, if the caller is at least that in it. Its own plan is kept, also where that of
-- the statement is made anew each time.
CREATE FUNCTION caller_graph(minimum text) RETURNS uuid LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = auto AS $$
    SELECT about.id FROM (SELECT nullif(current_setting('app.graph_id', true), '')::uuid AS id) AS about
    WHERE is_at_least(role_in_graph(about.id), $1)
$$;

CREATE FUNCTION caller_is_about_one_graph() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('app.graph_id', true), '') <> ''
$$;

-- Whether the history of a project or graph belongs to that project.
CREATE FUNCTION stream_is_of_project(stream_id uuid, project_id uuid) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT $2 = coalesce((SELECT g.project_id FROM graphs g WHERE g.id = $1), $1)
$$;

CREATE FUNCTION graph_is_of_group(graph_id uuid, group_id uuid) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM graphs g JOIN projects p ON p.id = g.project_id WHERE g.id = $1 AND p.group_id = $2)
$$;

CREATE FUNCTION caller_companions() RETURNS SETOF uuid LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT user_id FROM group_memberships WHERE group_id IN (SELECT caller_groups('viewer'))
$$;

COMMENT ON FUNCTION role_of_user_in_graph(uuid, uuid) IS 'What a person is in a graph, in the bin or not, by group and graph; null if nothing.';
COMMENT ON FUNCTION graph_is_there(uuid) IS 'Whether there is such a graph, and neither it nor its project is in the bin.';
COMMENT ON FUNCTION graph_has_project(uuid) IS 'Whether there is such a graph, in the bin or not, whose project is not in the bin.';
COMMENT ON FUNCTION caller_roles_in_project(uuid) IS 'What the caller is in each graph of a project, as role_in_graph of each, at once.';
COMMENT ON FUNCTION role_in_graph(uuid) IS 'What the caller is in a graph, in the bin or not; null if nothing.';
COMMENT ON FUNCTION role_in_group(uuid) IS 'What the caller is in a group; null if nothing.';
COMMENT ON FUNCTION role_in_project(uuid) IS 'What the caller is in the group of a project, in the bin or not; null if nothing.';
COMMENT ON FUNCTION caller_is_admin() IS 'Whether the caller is an admin of the installation.';

REVOKE EXECUTE ON FUNCTION role_of_user_in_graph(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION role_of_user_in_graph(uuid, uuid) TO layercake_log;

DO $$
DECLARE
    name regclass;
BEGIN
    FOR name IN
        SELECT c.oid FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND c.relname <> 'schema_migrations'
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', name);
        -- What the server does by itself was authorised before.
        EXECUTE format('CREATE POLICY service ON %s TO layercake_log USING (true) WITH CHECK (true)', name);
    END LOOP;
END
$$;

CREATE POLICY read ON groups FOR SELECT TO layercake_app
    USING (id IN (SELECT caller_groups('viewer')) OR (SELECT caller_is_admin()));
CREATE POLICY make ON groups FOR INSERT TO layercake_app WITH CHECK ((SELECT caller_is_admin()));
CREATE POLICY change ON groups FOR UPDATE TO layercake_app
    USING (id IN (SELECT caller_groups('admin')) OR (SELECT caller_is_admin()));

CREATE POLICY read ON group_memberships FOR SELECT TO layercake_app
    USING (group_id IN (SELECT caller_groups('viewer')) OR (SELECT caller_is_admin()));
CREATE POLICY manage ON group_memberships TO layercake_app
    USING (group_id IN (SELECT caller_groups('admin')) OR (SELECT caller_is_admin()));

CREATE POLICY read ON users FOR SELECT TO layercake_app USING (
    id IN (SELECT caller_companions()) OR (SELECT caller_is_admin()) OR (
        (SELECT caller_is_active()) AND id IN (
            (SELECT caller_id()), '00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002'
        )
    )
);
CREATE POLICY change ON users FOR UPDATE TO layercake_app USING (id = (SELECT caller_account()));

CREATE POLICY own ON sessions TO layercake_app USING (user_id = (SELECT caller_account()));
CREATE POLICY own ON oauth_tokens TO layercake_app USING (user_id = (SELECT caller_account()));
CREATE POLICY own ON personal_access_tokens TO layercake_app USING (user_id = (SELECT caller_account()));

CREATE POLICY manage ON invitations TO layercake_app
    USING (group_id IN (SELECT caller_groups('admin')) OR (SELECT caller_is_admin()))
    WITH CHECK (
        (group_id IN (SELECT caller_groups('admin')) AND NOT makes_admin) OR (SELECT caller_is_admin())
    );
CREATE POLICY own ON graph_roles FOR SELECT TO layercake_app USING (user_id = (SELECT caller_account()));
CREATE POLICY manage ON graph_roles TO layercake_app USING (role_in_graph(graph_id) = 'admin');
CREATE POLICY manage ON share_links TO layercake_app USING (role_in_graph(graph_id) = 'admin');

CREATE POLICY read ON audit_log FOR SELECT TO layercake_app
    USING (group_id IN (SELECT caller_groups('admin')) OR (SELECT caller_is_admin()));
CREATE POLICY extend ON audit_log FOR INSERT TO layercake_app WITH CHECK (
    user_id = (SELECT caller_id()) AND (SELECT caller_is_active()) AND (
        group_id IS NULL OR group_id IN (SELECT caller_groups('viewer')) OR (SELECT caller_is_admin())
        OR (role_in_graph(graph_id) IS NOT NULL AND graph_is_of_group(graph_id, group_id))
    )
);

CREATE POLICY read ON projects FOR SELECT TO layercake_app USING (group_id IN (SELECT caller_groups('viewer')));
CREATE POLICY make ON projects FOR INSERT TO layercake_app WITH CHECK (group_id IN (SELECT caller_groups('member')));
CREATE POLICY change ON projects FOR UPDATE TO layercake_app USING (group_id IN (SELECT caller_groups('member')));

-- EXISTS, which looks up one project for one graph and hashes all for many; projects are those the caller sees.
CREATE POLICY read ON graphs FOR SELECT TO layercake_app USING (
    (EXISTS (SELECT FROM projects p WHERE p.id = project_id) AND id NOT IN (SELECT caller_hidden_graphs('viewer')))
    OR id IN (SELECT caller_shared_graphs('viewer'))
);
CREATE POLICY make ON graphs FOR INSERT TO layercake_app WITH CHECK (is_at_least(role_in_project(project_id), 'member'));
CREATE POLICY change ON graphs FOR UPDATE TO layercake_app USING (
    (
        EXISTS (SELECT FROM projects p WHERE p.id = project_id AND p.group_id IN (SELECT caller_groups('member')))
        AND id NOT IN (SELECT caller_hidden_graphs('member'))
    )
    OR id IN (SELECT caller_shared_graphs('member'))
);

-- Rows that a graph has many of: once a statement if it is known which graph it is about.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'nodes', 'edges', 'layers', 'crdt_operations', 'graph_checkpoints', 'quarantined_operations'
    ] LOOP
        EXECUTE format($policy$
            CREATE POLICY read ON %I FOR SELECT TO layercake_app USING (
                CASE WHEN (SELECT caller_is_about_one_graph()) THEN graph_id = (SELECT caller_graph('viewer'))
                ELSE role_in_graph(graph_id) IS NOT NULL END
            )
        $policy$, name);
    END LOOP;
END
$$;
CREATE POLICY extend ON crdt_operations FOR INSERT TO layercake_app
    WITH CHECK (graph_id = (SELECT caller_graph('member')) AND user_id = (SELECT caller_id()));
CREATE POLICY extend ON graph_checkpoints FOR INSERT TO layercake_app
    WITH CHECK (graph_id = (SELECT caller_graph('member')) AND created_by = (SELECT caller_id()));
CREATE POLICY change ON graph_checkpoints FOR UPDATE TO layercake_app USING (graph_id = (SELECT caller_graph('member')));

CREATE POLICY read ON events FOR SELECT TO layercake_app USING (
    (
        EXISTS (SELECT FROM projects p WHERE p.id = project_id)
        AND stream_id NOT IN (SELECT caller_hidden_graphs('viewer'))
    )
    OR stream_id IN (SELECT caller_shared_graphs('viewer'))
    OR (SELECT caller_is_everywhere())
);
CREATE POLICY extend ON events FOR INSERT TO layercake_app WITH CHECK (
    user_id = (SELECT caller_id()) AND stream_is_of_project(stream_id, project_id)
    AND is_at_least(coalesce(role_in_graph(stream_id), role_in_project(stream_id)), 'member')
);
CREATE POLICY extend ON event_streams TO layercake_app
    USING (is_at_least(coalesce(role_in_graph(stream_id), role_in_project(stream_id)), 'member'));

-- Open sockets hear of what changes rights, from whichever process changes it: the channel and what to look at again.

CREATE FUNCTION tell_rights() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed record := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    id uuid;
BEGIN
    EXECUTE format('SELECT ($1).%I', TG_ARGV[1]) INTO id USING changed;
    PERFORM pg_notify('layercake_rights', TG_ARGV[0] || ':' || id);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION tell_rights() IS 'Sends ''kind:id'' on the channel layercake_rights: user, session, token, share, graph or project.';

CREATE TRIGGER tell_rights AFTER INSERT OR UPDATE OF role OR DELETE ON group_memberships
    FOR EACH ROW EXECUTE FUNCTION tell_rights('user', 'user_id');
CREATE TRIGGER tell_rights AFTER INSERT OR UPDATE OF role OR DELETE ON graph_roles
    FOR EACH ROW EXECUTE FUNCTION tell_rights('user', 'user_id');
CREATE TRIGGER tell_rights AFTER UPDATE OF is_active ON users
    FOR EACH ROW WHEN (OLD.is_active <> NEW.is_active) EXECUTE FUNCTION tell_rights('user', 'id');
CREATE TRIGGER tell_rights AFTER UPDATE OF revoked ON sessions
    FOR EACH ROW WHEN (OLD.revoked <> NEW.revoked) EXECUTE FUNCTION tell_rights('session', 'id');
CREATE TRIGGER tell_rights_gone AFTER DELETE ON sessions FOR EACH ROW EXECUTE FUNCTION tell_rights('session', 'id');
CREATE TRIGGER tell_rights AFTER UPDATE OF revoked_at ON personal_access_tokens
    FOR EACH ROW EXECUTE FUNCTION tell_rights('token', 'id');
CREATE TRIGGER tell_rights AFTER UPDATE OF revoked_at ON share_links
    FOR EACH ROW EXECUTE FUNCTION tell_rights('share', 'id');
CREATE TRIGGER tell_rights AFTER UPDATE OF deleted_at ON graphs FOR EACH ROW EXECUTE FUNCTION tell_rights('graph', 'id');
CREATE TRIGGER tell_rights_gone AFTER DELETE ON graphs FOR EACH ROW EXECUTE FUNCTION tell_rights('graph', 'id');
CREATE TRIGGER tell_rights AFTER UPDATE OF deleted_at, group_id ON projects
    FOR EACH ROW EXECUTE FUNCTION tell_rights('project', 'id');

-- Whoever may not share a graph any more has no links into it either, whatever took the right away.

CREATE FUNCTION end_share_links() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    maker uuid;
BEGIN
    EXECUTE format('SELECT ($1).%I', TG_ARGV[0]) INTO maker USING OLD;
    UPDATE share_links l SET revoked_at = now()
    WHERE l.created_by = maker AND l.revoked_at IS NULL
        AND role_of_user_in_graph(maker, l.graph_id) IS DISTINCT FROM 'admin';
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION end_share_links() IS 'Revokes the links that somebody made into graphs whose admin they are no more.';

CREATE TRIGGER end_share_links AFTER UPDATE OF role OR DELETE ON group_memberships
    FOR EACH ROW EXECUTE FUNCTION end_share_links('user_id');
CREATE TRIGGER end_share_links AFTER UPDATE OF role OR DELETE ON graph_roles
    FOR EACH ROW EXECUTE FUNCTION end_share_links('user_id');
CREATE TRIGGER end_share_links AFTER UPDATE OF is_active ON users
    FOR EACH ROW WHEN (OLD.is_active AND NOT NEW.is_active) EXECUTE FUNCTION end_share_links('id');

-- migrate:down

DO $$
DECLARE
    found record;
BEGIN
    FOR found IN SELECT policyname, tablename FROM pg_policies WHERE schemaname = 'public' LOOP
        EXECUTE format('DROP POLICY %I ON %I', found.policyname, found.tablename);
        EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', found.tablename);
    END LOOP;
    FOR found IN SELECT tgname, tgrelid::regclass AS tablename FROM pg_trigger WHERE tgname LIKE 'tell_rights%' OR tgname = 'end_share_links' LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', found.tgname, found.tablename);
    END LOOP;
END
$$;
DROP FUNCTION end_share_links(), tell_rights(), caller_roles_in_project(uuid), graph_has_project(uuid), caller_companions(),
    graph_is_of_group(uuid, uuid), stream_is_of_project(uuid, uuid),
    caller_is_about_one_graph(), caller_graph(text), caller_hidden_graphs(text),
    caller_shared_graphs(text), caller_groups(text), caller_is_admin(), role_in_project(uuid),
    role_in_group(uuid), role_in_graph(uuid), graph_is_there(uuid), role_of_user_in_graph(uuid, uuid), is_at_least(text, text),
    caller_account(), caller_is_active(), caller_has_grant(), caller_is_everywhere(), caller_id();
