"""Settings: `LAYERCAKE_*` environment variables, which options of the commands override."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from server.origin import ForeignRequestError, Origin
from workspace.tables import MAX_FILE_BYTES

MAX_RETENTION_DAYS = 36_500


class SettingsError(Exception):
    """Settings that cannot go together, or name what cannot be used; the message says what to do."""


def _listed(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _address(value: str) -> str:
    bare = value.removesuffix("/")
    try:
        origin = Origin.of(bare)
    except ForeignRequestError:
        origin = Origin("", "", None)
    if origin.scheme not in ("http", "https") or not origin.host or bare.count("/") != 2:
        raise ValueError("write it like https://layercake.example.org, without a path")
    return bare


_Hosts = Annotated[tuple[Annotated[str, StringConstraints(to_lower=True)], ...], NoDecode, BeforeValidator(_listed)]
_Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_listed)]
_Address = Annotated[str, AfterValidator(_address)]
_Addresses = Annotated[tuple[_Address, ...], NoDecode, BeforeValidator(_listed)]


class Settings(BaseSettings):
    """Everything that can be set, with its unit and its default."""

    model_config = SettingsConfigDict(env_prefix="LAYERCAKE_", extra="ignore", frozen=True, hide_input_in_errors=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    data_dir: Path = Field(Path(".layercake"), description="Folder of the embedded database.")
    database_url: str | None = Field(None, description="An external PostgreSQL instead of the embedded one.")
    token: SecretStr | None = Field(None, description="Personal access token with which commands ask a server.")
    server: str | None = Field(None, description="The server that commands ask, such as http://127.0.0.1:8000.")
    open: bool = Field(False, description="No login, everyone is an administrator; loopback addresses only.")

    access_token_s: float = Field(600.0, ge=10, le=86_400, description="How long an access token is in force.")
    session_days: float = Field(
        30.0, gt=0, le=3_650, allow_inf_nan=False, description="How long a session lasts that is not refreshed."
    )
    passwords_waiting: int = Field(100, ge=1, description="Passwords that may wait to be checked.")
    public_url: _Address | None = Field(
        None, description="Address that people use, such as https://layercake.example.org; https makes cookies Secure."
    )
    allowed_hosts: _Hosts = Field((), description="Names that requests may ask for, by commas; without, any.")
    allowed_origins: _Addresses = Field((), description="Origins of pages elsewhere that may use tokens, by commas.")
    trusted_proxies: _Networks = Field((), description="Networks (CIDR) whose X-Forwarded headers count, by commas.")
    tls_certificate: Path | None = Field(None, description="PEM file with the certificate and those that signed it.")
    tls_key: Path | None = Field(None, description="PEM file with the private key of the certificate.")

    backend_issuer: str | None = Field(None, min_length=1, description="Who signs your backend's tokens: their iss.")
    backend_audience: str = Field("layercake", min_length=1, description="Whom they are for: their aud.")
    backend_secret: SecretStr | None = Field(None, description="Secret of 32 bytes or more that signs them (HS256).")
    backend_secret_file: Path | None = Field(None, description="Or the file with that secret.")
    backend_jwks_url: str | None = Field(None, description="Or where the public keys are (JWKS), by https.")
    backend_jwks_file: Path | None = Field(None, description="Or the file with the public keys.")
    backend_token_s: float = Field(86_400.0, gt=0, description="How far ahead they may expire.")

    database_start_timeout_s: float = Field(120.0, gt=0, description="How long the embedded database may recover.")
    database_timeout_s: float = Field(10.0, gt=0, description="How long one statement may take.")
    database_pool_size: int = Field(8, ge=1, le=50, description="Connections for requests, and as many for loading.")
    log_window_s: float = Field(0.004, ge=0, le=1, description="How long updates gather for one commit.")
    log_buffer_bytes: int = Field(64 * 1024 * 1024, ge=1, description="Uncommitted bytes from which on writers wait.")
    log_behind_s: float = Field(5.0, gt=0, description="Age of the oldest uncommitted edit that fails /readyz.")

    message_bytes: int = Field(16 * 1024 * 1024, ge=1024, description="Largest websocket message.")
    update_bytes: int = Field(12 * 1024 * 1024, ge=1024, description="Largest update of a client.")
    document_bytes: int = Field(512 * 1024 * 1024, ge=1024, description="Size up to which a document can grow.")
    messages_per_s: float = Field(50_000.0, gt=0, description="Messages that one client may send, over 5 s.")
    sessions_per_graph: int = Field(5_000, ge=1, description="Clients that may be in one graph.")
    connections_per_address: int = Field(10_000, ge=1, description="Sockets that one address may have open.")
    behind_timeout_s: float = Field(60.0, gt=0, description="How long a client that is behind may read nothing.")
    write_buffer_bytes: int = Field(256 * 1024, ge=1024, description="Unsent bytes from which on a client is behind.")
    pending_bytes: int = Field(4 * 1024 * 1024, ge=1, description="Updates a graph holds that wait for others.")
    authentication_timeout_s: float = Field(
        60.0, gt=0, description="How long a Hocuspocus client may take until its first token."
    )
    token_renewal_s: float = Field(
        60.0, gt=0, description="How long before its token expires a Hocuspocus client is asked for another."
    )
    rights_grace_s: float = Field(
        60.0, ge=0, description="How long a socket may outlive its token while the database does not answer."
    )
    unopened_bytes: int = Field(
        4 * 1024 * 1024, ge=1, description="What a Hocuspocus client may send for documents before they open."
    )
    socket_documents: int = Field(100, ge=1, description="Documents on one Hocuspocus connection.")
    stateless_bytes: int = Field(64 * 1024, ge=1, description="Largest Hocuspocus stateless message.")
    coalescing_window_s: float = Field(0.004, ge=0, le=1, description="How long changes gather for one broadcast.")
    presence_window_s: float = Field(0.05, ge=0, le=5, description="How long presence gathers in a small room.")
    liveness_tick_s: float = Field(5.0, gt=0, le=5, description="How often connections are looked over.")
    load_timeout_s: float = Field(30.0, gt=0, description="How long a graph may take to load.")
    idle_unload_s: float = Field(30.0, ge=0, description="How long a graph nobody has open stays in memory.")

    documents_bytes: int = Field(
        2 * 1024**3, ge=1024**2, description="Memory for the documents of open graphs; idle ones go first."
    )
    edit_timeout_s: float = Field(
        180.0, gt=0, description="How long an import into a live graph, or its rebuild, may take."
    )
    capture_timeout_s: float = Field(
        30.0, gt=0, description="How long a rebuild waits until all manual edits of its graph are captured."
    )

    input_bytes: int = Field(
        MAX_FILE_BYTES, ge=1, le=MAX_FILE_BYTES, description="Largest file that a plan can read as an input."
    )
    executions_at_once: int = Field(2, ge=1, le=20, description="Runs of plans that go on at once; others wait.")
    execution_timeout_s: float = Field(600.0, gt=0, description="How long a run of a plan may take.")

    compaction_operations: int = Field(
        10_000, ge=1, description="Edits of a graph after which its compacted state is made anew."
    )
    compaction_bytes: int = Field(1024 * 1024, ge=1, description="Or after edits of so many bytes.")
    compaction_age_s: float = Field(300.0, gt=0, description="Or once the oldest of them has this age.")
    follower_bytes: int = Field(
        512 * 1024 * 1024, ge=1, description="Memory for documents in the maintenance process, estimated."
    )
    log_retention_days: float | None = Field(
        None,
        gt=0,
        le=MAX_RETENTION_DAYS,
        allow_inf_nan=False,
        description="How long edits that are in a compacted state are kept as history; for ever without.",
    )

    audit_refusals: int = Field(
        1_000, ge=1, description="Refusals that wait for the audit log, half a second's; more are only counted."
    )
    audit_retention_days: float = Field(
        400.0, gt=0, le=MAX_RETENTION_DAYS, description="How long entries of the audit log are kept."
    )
    header_bytes: int = Field(32 * 1024, ge=1024, description="Largest HTTP request head.")
    request_timeout_s: float = Field(
        10.0, gt=0, description="How long a request's head, or the next part of its body, may take to arrive."
    )
    body_bytes_per_s: float = Field(
        1_000.0, gt=0, description="How fast a body has to arrive at least; it may lag by request_timeout_s."
    )
    shutdown_timeout_s: float = Field(
        20.0, gt=0, description="How long stopping may take, a database that hangs included."
    )
    log_format: str = Field("text", pattern="^(text|json)$", description="Log lines for people or for machines.")

    @property
    def is_secure(self) -> bool:
        """Whether people come by TLS, to this server or to what is before it."""
        return self.tls_certificate is not None or (self.public_url or "").startswith("https:")

    @classmethod
    def with_options(cls, **options: Any) -> "Settings":
        """Return the settings of the environment, overridden by every option that is not None."""
        return cls(**{name: value for name, value in options.items() if value is not None})
