-- migrate:up

-- Roles belong to the cluster, not to this database: another database may have made them already,
-- may be making them at this moment, or an administrator may have made them for an owner who cannot.
-- Nobody logs in as them; the owner of the database becomes them (SET ROLE, or the start-up option).
DO $$
DECLARE
    role_name text;
    -- Since PostgreSQL 16 membership alone does not allow SET ROLE: whoever creates a role is its
    -- administrator without being able to become it.
    may_become text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['layercake_app', 'layercake_log'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- made meanwhile for another database
        END;
        IF NOT pg_has_role(current_user, role_name, may_become) THEN
            BEGIN
                EXECUTE format('GRANT %I TO CURRENT_USER', role_name);
            EXCEPTION WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'role % exists and % may not become it; have an administrator run: GRANT % TO %;',
                    role_name, current_user, quote_ident(role_name), quote_ident(current_user)
                    USING ERRCODE = 'insufficient_privilege';
            END;
        END IF;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA public TO layercake_app, layercake_log;

-- migrate:down

REVOKE USAGE ON SCHEMA public FROM layercake_app, layercake_log;

-- Dropped only by the last database that uses them, and only by someone who may.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['layercake_app', 'layercake_log'] LOOP
        BEGIN
            EXECUTE format('DROP ROLE IF EXISTS %I', role_name);
        EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN
            RAISE NOTICE 'role % stays: %', role_name, SQLERRM;
        END;
    END LOOP;
END
$$;
