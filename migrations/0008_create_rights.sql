-- migrate:up

-- Names of groups are the groups' own: who makes one must not learn that another one is called the same.
ALTER TABLE groups DROP CONSTRAINT uq_groups_name;

-- A person known by the tokens of the team's own backend, by issuer and subject; no password opens the account.
ALTER TABLE users ADD COLUMN external_issuer text, ADD COLUMN external_subject text,
    ADD CONSTRAINT ck_users_external CHECK (
        (external_issuer IS NULL) = (external_subject IS NULL)
        AND (external_subject IS NULL OR password_hash IS NULL)
        AND octet_length(external_issuer) <= 1024 AND octet_length(external_subject) <= 1024
    );
CREATE UNIQUE INDEX uq_users_external ON users (external_issuer, external_subject) WHERE external_subject IS NOT NULL;

COMMENT ON COLUMN users.external_issuer IS 'Issuer of the tokens of the team''s backend that name the person; null for own accounts.';
COMMENT ON COLUMN users.external_subject IS 'Subject in the tokens of that issuer.';

ALTER TABLE sessions ADD COLUMN access_expires_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE sessions ALTER COLUMN access_expires_at DROP DEFAULT;

COMMENT ON COLUMN sessions.access_expires_at IS 'When the newest access token expires: until then the sockets of the session stay open.';

CREATE TABLE spent_refresh_tokens (
    token_hash bytea NOT NULL,
    session_id uuid NOT NULL,
    spent_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_spent_refresh_tokens PRIMARY KEY (token_hash),
    CONSTRAINT fk_spent_refresh_tokens_session_id FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    CONSTRAINT ck_spent_refresh_tokens_token_hash CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX idx_spent_refresh_tokens_session ON spent_refresh_tokens (session_id);

COMMENT ON TABLE spent_refresh_tokens IS 'Refresh tokens that were exchanged for a newer one: whoever presents one again ends its session.';
COMMENT ON COLUMN spent_refresh_tokens.token_hash IS 'SHA-256 of the token.';

CREATE TABLE personal_access_tokens (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    token_hash bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT pk_personal_access_tokens PRIMARY KEY (id),
    CONSTRAINT uq_personal_access_tokens_token_hash UNIQUE (token_hash),
    CONSTRAINT fk_personal_access_tokens_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT ck_personal_access_tokens_name CHECK (
        char_length(name) <= 200
        AND name ~ '[^ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
        AND name !~ '[\u0001-\u001f\u007f-\u009f]'
    ),
    CONSTRAINT ck_personal_access_tokens_token_hash CHECK (octet_length(token_hash) = 32),
    CONSTRAINT ck_personal_access_tokens_scopes CHECK (
        scopes <@ ARRAY['read', 'edit', 'manage'] AND cardinality(scopes) >= 1
    )
);

CREATE INDEX idx_personal_access_tokens_user ON personal_access_tokens (user_id);

COMMENT ON TABLE personal_access_tokens IS 'Tokens a person made for scripts and agents that act in their name.';
COMMENT ON COLUMN personal_access_tokens.id IS 'UUIDv7, made by the application.';
COMMENT ON COLUMN personal_access_tokens.token_hash IS 'SHA-256 of the token; the token itself is never stored.';
COMMENT ON COLUMN personal_access_tokens.scopes IS 'What may be done with it, at most: read, edit, manage.';
COMMENT ON COLUMN personal_access_tokens.expires_at IS 'Null for one that lasts until it is revoked.';
COMMENT ON COLUMN personal_access_tokens.last_used_at IS 'To the minute.';

CREATE TABLE invitations (
    id uuid NOT NULL,
    group_id uuid,
    role text,
    user_id uuid,
    makes_admin boolean NOT NULL DEFAULT FALSE,
    token_hash bytea NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    accepted_by uuid,
    revoked_at timestamptz,
    CONSTRAINT pk_invitations PRIMARY KEY (id),
    CONSTRAINT uq_invitations_token_hash UNIQUE (token_hash),
    CONSTRAINT fk_invitations_group_id FOREIGN KEY (group_id) REFERENCES groups (id) ON DELETE CASCADE,
    CONSTRAINT fk_invitations_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_invitations_created_by FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE RESTRICT,
    CONSTRAINT fk_invitations_accepted_by FOREIGN KEY (accepted_by) REFERENCES users (id) ON DELETE RESTRICT,
    CONSTRAINT ck_invitations_role CHECK (role IN ('admin', 'member', 'viewer')),
    CONSTRAINT ck_invitations_purpose CHECK (
        (group_id IS NULL) = (role IS NULL) AND (group_id IS NULL) <> (user_id IS NULL)
    ),
    CONSTRAINT ck_invitations_token_hash CHECK (octet_length(token_hash) = 32),
    CONSTRAINT ck_invitations_accepted CHECK ((accepted_at IS NULL) = (accepted_by IS NULL)),
    CONSTRAINT ck_invitations_expires_at CHECK (expires_at > created_at)
);

CREATE INDEX idx_invitations_group ON invitations (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX idx_invitations_user ON invitations (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX idx_invitations_created_by ON invitations (created_by);
CREATE INDEX idx_invitations_accepted_by ON invitations (accepted_by) WHERE accepted_by IS NOT NULL;

COMMENT ON TABLE invitations IS 'Links that open once: into a group as something, or to choose the password of one''s account.';
COMMENT ON COLUMN invitations.id IS 'UUIDv7, made by the application.';
COMMENT ON COLUMN invitations.group_id IS 'The group that it invites to; null if it is for a password.';
COMMENT ON COLUMN invitations.role IS 'What one becomes in the group.';
COMMENT ON COLUMN invitations.user_id IS 'The account whose password it sets; null if it invites to a group.';
COMMENT ON COLUMN invitations.makes_admin IS 'Whether one becomes an admin of the installation, as by the owner''s link of the first start.';
COMMENT ON COLUMN invitations.token_hash IS 'SHA-256 of the token in the link; the token itself is never stored.';

CREATE TABLE graph_roles (
    graph_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role text NOT NULL,
    granted_by uuid NOT NULL,
    granted_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_graph_roles PRIMARY KEY (graph_id, user_id),
    CONSTRAINT fk_graph_roles_graph_id FOREIGN KEY (graph_id) REFERENCES graphs (id) ON DELETE CASCADE,
    CONSTRAINT fk_graph_roles_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_graph_roles_granted_by FOREIGN KEY (granted_by) REFERENCES users (id) ON DELETE RESTRICT,
    CONSTRAINT ck_graph_roles_role CHECK (role IN ('admin', 'member', 'viewer', 'none'))
);

CREATE INDEX idx_graph_roles_user ON graph_roles (user_id);
CREATE INDEX idx_graph_roles_granted_by ON graph_roles (granted_by);

COMMENT ON TABLE graph_roles IS 'What a person is in one graph, instead of what they are in its group. Admins of the group stay admins.';
COMMENT ON COLUMN graph_roles.role IS 'As in group_memberships; none hides the graph.';

CREATE TABLE share_links (
    id uuid NOT NULL,
    graph_id uuid NOT NULL,
    role text NOT NULL,
    token_hash bytea NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT pk_share_links PRIMARY KEY (id),
    CONSTRAINT uq_share_links_token_hash UNIQUE (token_hash),
    CONSTRAINT fk_share_links_graph_id FOREIGN KEY (graph_id) REFERENCES graphs (id) ON DELETE CASCADE,
    CONSTRAINT fk_share_links_created_by FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE RESTRICT,
    CONSTRAINT ck_share_links_role CHECK (role IN ('member', 'viewer')),
    CONSTRAINT ck_share_links_token_hash CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX idx_share_links_graph ON share_links (graph_id);
CREATE INDEX idx_share_links_created_by ON share_links (created_by);

COMMENT ON TABLE share_links IS 'Links that let anybody who has them into one graph, without an account.';
COMMENT ON COLUMN share_links.id IS 'UUIDv7, made by the application.';
COMMENT ON COLUMN share_links.role IS 'What one is in the graph by it.';
COMMENT ON COLUMN share_links.token_hash IS 'SHA-256 of the token in the link; the token itself is never stored.';
COMMENT ON COLUMN share_links.expires_at IS 'Null for one that lasts until it is revoked.';

CREATE TABLE sign_in_throttles (
    key bytea NOT NULL,
    level double precision NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pk_sign_in_throttles PRIMARY KEY (key),
    CONSTRAINT ck_sign_in_throttles_key CHECK (octet_length(key) = 32),
    CONSTRAINT ck_sign_in_throttles_level CHECK (level >= 0)
);

CREATE INDEX idx_sign_in_throttles_updated_at ON sign_in_throttles (updated_at);

COMMENT ON TABLE sign_in_throttles IS 'Failed sign-ins that count, by account and by where they came from: buckets that leak.';
COMMENT ON COLUMN sign_in_throttles.key IS 'SHA-256 of what is counted: account and address, account and device, or address.';
COMMENT ON COLUMN sign_in_throttles.level IS 'Failures in the bucket at updated_at; it leaks since.';

CREATE TABLE signing_keys (
    id uuid NOT NULL,
    secret bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_signing_keys PRIMARY KEY (id),
    CONSTRAINT ck_signing_keys_secret CHECK (octet_length(secret) = 32)
);

COMMENT ON TABLE signing_keys IS 'Secrets that access tokens are signed with, the same for all servers of the database; the newest signs, all verify.';
COMMENT ON COLUMN signing_keys.id IS 'UUIDv7, the kid of the tokens.';

CREATE TABLE audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY,
    action text NOT NULL,
    outcome text NOT NULL,
    reason text,
    user_id uuid NOT NULL,
    group_id uuid,
    graph_id uuid,
    details jsonb NOT NULL DEFAULT '{}',
    address inet,
    user_agent text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_audit_log PRIMARY KEY (id),
    CONSTRAINT fk_audit_log_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE RESTRICT,
    CONSTRAINT ck_audit_log_action CHECK (action ~ '^[a-z_]+\.[a-z_]+$'),
    CONSTRAINT ck_audit_log_outcome CHECK (outcome IN ('done', 'refused')),
    CONSTRAINT ck_audit_log_details CHECK (jsonb_typeof(details) = 'object'),
    CONSTRAINT ck_audit_log_user_agent CHECK (char_length(user_agent) <= 500)
);

CREATE INDEX idx_audit_log_user ON audit_log (user_id);
CREATE INDEX idx_audit_log_group ON audit_log (group_id, id);
CREATE INDEX idx_audit_log_created_at ON audit_log (created_at);

COMMENT ON TABLE audit_log IS 'Sign-ins, refusals, grants and exports: who, from where, and why not. Only ever extended, until retention.';
COMMENT ON COLUMN audit_log.action IS 'Kind of thing and what was done or tried: session.signed_in, graph.exported.';
COMMENT ON COLUMN audit_log.reason IS 'Why it was refused, as only admins are told.';
COMMENT ON COLUMN audit_log.user_id IS 'Who did or tried it; the built-in user anonymous if nobody is known.';
COMMENT ON COLUMN audit_log.group_id IS 'Whose admins may read it; null for those of the installation only. No foreign key: the history stays.';
COMMENT ON COLUMN audit_log.graph_id IS 'The graph it is about; no foreign key.';
COMMENT ON COLUMN audit_log.details IS 'JSON object: what else is of interest, such as the role that was granted.';

GRANT SELECT, INSERT, UPDATE (revoked_at) ON personal_access_tokens, invitations, share_links TO layercake_app;
GRANT SELECT, INSERT, UPDATE (role, granted_by, granted_at), DELETE ON graph_roles TO layercake_app;
GRANT SELECT, INSERT ON audit_log TO layercake_app;

-- The hashes of passwords are nobody's to read, also not of people one may see.
REVOKE SELECT, INSERT, UPDATE ON users FROM layercake_app;
GRANT SELECT (
    id, username, email, full_name, avatar_url, role, settings, is_active, last_login_at, created_at, updated_at,
    external_issuer, external_subject
) ON users TO layercake_app;
GRANT UPDATE (full_name, avatar_url, settings) ON users TO layercake_app;

-- Who signs in is not known yet: that is the server's own work.
GRANT SELECT, INSERT, UPDATE ON users, groups, group_memberships, sessions, personal_access_tokens, invitations,
    share_links, sign_in_throttles TO layercake_log;
GRANT SELECT, INSERT ON spent_refresh_tokens, signing_keys, audit_log TO layercake_log;
GRANT UPDATE (address, user_agent) ON audit_log TO layercake_log; -- to forget where somebody was who is anonymised
GRANT SELECT, UPDATE (role), DELETE ON graph_roles TO layercake_log;
GRANT SELECT (group_id) ON projects TO layercake_log;
GRANT DELETE ON sessions, group_memberships, spent_refresh_tokens, sign_in_throttles, signing_keys, audit_log,
    invitations, personal_access_tokens TO layercake_log;

-- migrate:down

REVOKE SELECT, INSERT, UPDATE, DELETE ON users, groups, group_memberships, sessions FROM layercake_log;
REVOKE SELECT (group_id) ON projects FROM layercake_log;
REVOKE SELECT (
    id, username, email, full_name, avatar_url, role, settings, is_active, last_login_at, created_at, updated_at,
    external_issuer, external_subject
) ON users FROM layercake_app;
REVOKE UPDATE (full_name, avatar_url, settings) ON users FROM layercake_app;
GRANT SELECT, INSERT, UPDATE ON users TO layercake_app;
DROP TABLE audit_log;
DROP TABLE signing_keys;
DROP TABLE sign_in_throttles;
DROP TABLE share_links;
DROP TABLE graph_roles;
DROP TABLE invitations;
DROP TABLE personal_access_tokens;
DROP TABLE spent_refresh_tokens;
ALTER TABLE sessions DROP COLUMN access_expires_at;
DROP INDEX uq_users_external;
ALTER TABLE users DROP CONSTRAINT ck_users_external, DROP COLUMN external_issuer, DROP COLUMN external_subject;
ALTER TABLE groups ADD CONSTRAINT uq_groups_name UNIQUE (name);
