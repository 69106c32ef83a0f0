-- migrate:up

CREATE FUNCTION update_updated_at_column()
RETURNS TRIGGER AS $$
BEGIN
    NEW.updated_at = NOW();
    RETURN NEW;
END;
$$ LANGUAGE plpgsql;

COMMENT ON FUNCTION update_updated_at_column() IS 'Sets updated_at to the time of the transaction.';

-- A name (here and in 0003) has something to see, at most 200 characters, and no control characters.
-- The spaces are listed because btrim and \s know the others in some locales only.

CREATE TABLE groups (
    id uuid NOT NULL,
    name text NOT NULL,
    description text,
    settings jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_groups PRIMARY KEY (id),
    CONSTRAINT uq_groups_name UNIQUE (name),
    CONSTRAINT ck_groups_name CHECK (
        char_length(name) <= 200
        AND name ~ '[^ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
        AND name !~ '[\u0001-\u001f\u007f-\u009f]'
    ),
    CONSTRAINT ck_groups_settings CHECK (jsonb_typeof(settings) = 'object')
);

COMMENT ON TABLE groups IS 'Who works together: a group owns projects, and a role in it decides what a person may do there.';
COMMENT ON COLUMN groups.id IS 'UUIDv7, made by the application.';
COMMENT ON COLUMN groups.settings IS 'JSON object of settings of the group.';

CREATE TRIGGER update_groups_updated_at BEFORE UPDATE ON groups
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE TABLE users (
    id uuid NOT NULL,
    username text NOT NULL,
    email text,
    password_hash text,
    full_name text,
    avatar_url text,
    role text NOT NULL DEFAULT 'user',
    settings jsonb NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    is_active boolean NOT NULL DEFAULT TRUE,
    email_verified boolean NOT NULL DEFAULT FALSE,
    verification_token_hash bytea,
    verification_token_expires timestamptz,
    last_login_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT ck_users_username CHECK (
        char_length(username) <= 200
        AND username ~ '[^ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
        AND username !~ '[\u0001-\u001f\u007f-\u009f]'
    ),
    CONSTRAINT ck_users_email CHECK (char_length(email) <= 254),
    CONSTRAINT ck_users_role CHECK (role IN ('user', 'admin')),
    CONSTRAINT ck_users_settings CHECK (jsonb_typeof(settings) = 'object'),
    CONSTRAINT ck_users_metadata CHECK (jsonb_typeof(metadata) = 'object'),
    CONSTRAINT ck_users_verification_token_hash CHECK (octet_length(verification_token_hash) = 32)
);

-- Nobody can sign up as somebody else in capitals; what was typed is kept.
CREATE UNIQUE INDEX uq_users_username ON users (lower(username));
CREATE UNIQUE INDEX uq_users_email ON users (lower(email));
CREATE UNIQUE INDEX uq_users_verification_token_hash ON users (verification_token_hash)
    WHERE verification_token_hash IS NOT NULL;
CREATE INDEX idx_users_created_at ON users (created_at);

COMMENT ON TABLE users IS 'People, and the built-in users system and anonymous. Disabled and anonymised, never deleted: the log refers to them.';
COMMENT ON COLUMN users.id IS 'UUIDv7, made by the application; the built-in users have fixed ids.';
COMMENT ON COLUMN users.username IS 'Name to log in with, unique without regard to case.';
COMMENT ON COLUMN users.email IS 'Unique without regard to case; null for built-in and anonymised users.';
COMMENT ON COLUMN users.password_hash IS 'Argon2id, with its parameters; null where no password opens the account.';
COMMENT ON COLUMN users.full_name IS 'Name to show; null shows the username.';
COMMENT ON COLUMN users.role IS 'In the whole installation: an admin makes groups and accounts. What someone may do in a group is group_memberships.role.';
COMMENT ON COLUMN users.settings IS 'JSON object of the preferences the person chose.';
COMMENT ON COLUMN users.metadata IS 'JSON object of what the installation knows about the account.';
COMMENT ON COLUMN users.is_active IS 'False for a disabled person, whom every door refuses.';
COMMENT ON COLUMN users.verification_token_hash IS 'SHA-256 of the token in the verification mail; null when none is open.';

CREATE TRIGGER update_users_updated_at BEFORE UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE TABLE group_memberships (
    id bigint GENERATED ALWAYS AS IDENTITY,
    group_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role text NOT NULL DEFAULT 'member',
    joined_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_group_memberships PRIMARY KEY (id),
    CONSTRAINT uq_group_memberships_group_id_user_id UNIQUE (group_id, user_id),
    CONSTRAINT fk_group_memberships_group_id FOREIGN KEY (group_id) REFERENCES groups (id) ON DELETE CASCADE,
    CONSTRAINT fk_group_memberships_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT ck_group_memberships_role CHECK (role IN ('admin', 'member', 'viewer'))
);

CREATE INDEX idx_group_memberships_user ON group_memberships (user_id);

COMMENT ON TABLE group_memberships IS 'Who is in which group, and as what.';
COMMENT ON COLUMN group_memberships.role IS 'admin manages, member edits, viewer reads and is present.';

CREATE TABLE sessions (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    refresh_token_hash bytea NOT NULL,
    device_info jsonb,
    ip_address inet,
    user_agent text,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked boolean NOT NULL DEFAULT FALSE,
    CONSTRAINT pk_sessions PRIMARY KEY (id),
    CONSTRAINT uq_sessions_refresh_token_hash UNIQUE (refresh_token_hash),
    CONSTRAINT fk_sessions_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT ck_sessions_refresh_token_hash CHECK (octet_length(refresh_token_hash) = 32),
    CONSTRAINT ck_sessions_device_info CHECK (jsonb_typeof(device_info) = 'object'),
    CONSTRAINT ck_sessions_metadata CHECK (jsonb_typeof(metadata) = 'object'),
    CONSTRAINT ck_sessions_expires_at CHECK (expires_at > created_at)
);

CREATE INDEX idx_sessions_user_id ON sessions (user_id);
CREATE INDEX idx_sessions_expires_at ON sessions (expires_at);

COMMENT ON TABLE sessions IS 'One row per device somebody is logged in on, so that each can be listed and revoked.';
COMMENT ON COLUMN sessions.id IS 'UUIDv7, made by the application.';
COMMENT ON COLUMN sessions.refresh_token_hash IS 'SHA-256 of the current refresh token; the token itself is never stored.';
COMMENT ON COLUMN sessions.device_info IS 'JSON object {device_type, browser, os, platform}, as the client described itself.';
COMMENT ON COLUMN sessions.metadata IS 'JSON object of what else is known about the session.';
COMMENT ON COLUMN sessions.revoked IS 'True once ended by its person, an admin, or the reuse of an old refresh token.';

CREATE TABLE oauth_tokens (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    access_token_hash bytea NOT NULL,
    refresh_token_hash bytea,
    token_type text NOT NULL DEFAULT 'Bearer',
    expires_at timestamptz NOT NULL,
    scope text,
    client_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    CONSTRAINT pk_oauth_tokens PRIMARY KEY (id),
    CONSTRAINT uq_oauth_tokens_access_token_hash UNIQUE (access_token_hash),
    CONSTRAINT uq_oauth_tokens_refresh_token_hash UNIQUE (refresh_token_hash),
    CONSTRAINT fk_oauth_tokens_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT ck_oauth_tokens_access_token_hash CHECK (octet_length(access_token_hash) = 32),
    CONSTRAINT ck_oauth_tokens_refresh_token_hash CHECK (octet_length(refresh_token_hash) = 32)
);

CREATE INDEX idx_oauth_tokens_user_id ON oauth_tokens (user_id);

COMMENT ON TABLE oauth_tokens IS 'OAuth 2.1 tokens that agents present in the name of a person.';
COMMENT ON COLUMN oauth_tokens.id IS 'UUIDv7, made by the application.';
COMMENT ON COLUMN oauth_tokens.access_token_hash IS 'SHA-256 of the access token; the token itself is never stored.';
COMMENT ON COLUMN oauth_tokens.refresh_token_hash IS 'SHA-256 of the refresh token; null where none was issued.';
COMMENT ON COLUMN oauth_tokens.scope IS 'Space-separated scopes, as granted.';
COMMENT ON COLUMN oauth_tokens.client_id IS 'The OAuth client the token was issued to.';

CREATE TRIGGER update_oauth_tokens_updated_at BEFORE UPDATE ON oauth_tokens
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

-- No password opens the built-in users. `serve --open` lets everybody in as anonymous.
INSERT INTO users (id, username, full_name) VALUES
    ('00000000-0000-7000-8000-000000000001', 'system', 'System'),
    ('00000000-0000-7000-8000-000000000002', 'anonymous', 'Anonymous');
INSERT INTO groups (id, name, description) VALUES
    ('00000000-0000-7000-8000-000000000003', 'Everyone', 'Everybody who uses this server while it is open.');
INSERT INTO group_memberships (group_id, user_id, role) VALUES
    ('00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000002', 'admin');

-- No DELETE on groups: it would cascade through projects and graphs into the log.
GRANT SELECT, INSERT, UPDATE ON groups, users TO layercake_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON group_memberships, sessions, oauth_tokens TO layercake_app;

-- migrate:down

DROP TABLE oauth_tokens;
DROP TABLE sessions;
DROP TABLE group_memberships;
DROP TABLE users;
DROP TABLE groups;
DROP FUNCTION update_updated_at_column();
