"""Settings: `LAYERCAKE_*` environment variables, which options of the commands override."""

from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MAX_RETENTION_DAYS = 36_500


class Settings(BaseSettings):
    """Everything that can be set, with its unit and its default."""

    model_config = SettingsConfigDict(env_prefix="LAYERCAKE_", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    data_dir: Path = Field(Path(".layercake"), description="Folder of the embedded database.")
    database_url: str | None = Field(None, description="An external PostgreSQL instead of the embedded one.")
    server: str | None = Field(None, description="The server that commands ask, such as http://127.0.0.1:8000.")
    open: bool = Field(False, description="No login, everyone is an administrator; loopback addresses only.")

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
    coalescing_window_s: float = Field(0.005, ge=0, le=1, description="How long changes gather for one broadcast.")
    presence_window_s: float = Field(0.05, ge=0, le=5, description="How long presence gathers in a small room.")
    liveness_tick_s: float = Field(5.0, gt=0, le=5, description="How often connections are looked over.")
    load_timeout_s: float = Field(30.0, gt=0, description="How long a graph may take to load.")
    idle_unload_s: float = Field(30.0, ge=0, description="How long a graph nobody has open stays in memory.")

    documents_bytes: int = Field(
        2 * 1024**3, ge=1024**2, description="Memory for the documents of open graphs; idle ones go first."
    )
    edit_timeout_s: float = Field(180.0, gt=0, description="How long an import into a live graph may take.")

    compaction_operations: int = Field(
        2_000, ge=1, description="Edits of a graph after which its compacted state is made anew."
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

    header_bytes: int = Field(32 * 1024, ge=1024, description="Largest HTTP request head.")
    request_timeout_s: float = Field(
        10.0, gt=0, description="How long a request's head, or the next part of its body, may take to arrive."
    )
    shutdown_timeout_s: float = Field(
        20.0, gt=0, description="How long stopping may take, a database that hangs included."
    )
    log_format: str = Field("text", pattern="^(text|json)$", description="Log lines for people or for machines.")

    @classmethod
    def with_options(cls, **options: Any) -> "Settings":
        """Return the settings of the environment, overridden by every option that is not None."""
        return cls(**{name: value for name, value in options.items() if value is not None})
