"""Rows of `project_inputs`: the files that input nodes of a plan read."""

from uuid import UUID

from persistence.database import Database
from persistence.errors import InputInUseError, InputsFullError, NotFoundError
from persistence.records import Caller
from persistence.replay_records import InputContent, StoredInput

MAX_INPUTS = 100
"""Of one project."""

MAX_INPUTS_BYTES = 1024 * 1024 * 1024
"""Of all inputs of one project together."""

CONTENT_TIMEOUT_S = 120.0
"""How long the content of one input may take to be stored or read."""


class Inputs:
    """Inputs of projects, as their groups may see and change them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    LIST = """
        SELECT i.name, i.format, i.digest, i.row_count AS rows, octet_length(i.content) AS size_bytes, i.updated_at
        FROM project_inputs i JOIN projects p ON p.id = i.project_id
        WHERE i.project_id = $1 AND p.deleted_at IS NULL ORDER BY i.name COLLATE "C"
    """

    async def of_project(self, caller: Caller, project_id: UUID) -> tuple[StoredInput, ...]:
        """Return the inputs of a project without their content, sorted by name."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.LIST, project_id)
        return tuple(StoredInput(**row) for row in rows)

    READ = """
        SELECT i.name, i.format, i.digest, i.row_count AS rows, i.content
        FROM project_inputs i JOIN projects p ON p.id = i.project_id
        WHERE i.project_id = $1 AND i.name = $2 AND p.deleted_at IS NULL
    """

    async def read(self, caller: Caller, project_id: UUID, name: str) -> InputContent:
        """Return one input. Raises NotFoundError."""
        async with self._database.request(caller) as connection:
            row = await connection.fetchrow(self.READ, project_id, name, timeout=CONTENT_TIMEOUT_S)
        if row is None:
            raise NotFoundError("input", name)
        return InputContent(**row)

    OTHERS = """
        SELECT count(*) AS inputs, coalesce(sum(octet_length(content)), 0) AS bytes
        FROM project_inputs WHERE project_id = $1 AND name <> $2
    """
    WRITE = """
        INSERT INTO project_inputs (project_id, name, format, digest, row_count, content, uploaded_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (project_id, name) DO UPDATE SET
            format = EXCLUDED.format, digest = EXCLUDED.digest, row_count = EXCLUDED.row_count,
            content = EXCLUDED.content, uploaded_by = EXCLUDED.uploaded_by
    """

    async def write(self, caller: Caller, project_id: UUID, new: InputContent) -> None:
        """Store an input, in the place of the one of its name. Raises InputsFullError, InvalidValueError."""
        values = (project_id, new.name, new.format, new.digest, new.rows, new.content, caller.user_id)
        async with self._database.request(caller) as connection:
            others = await connection.fetchrow(self.OTHERS, project_id, new.name)
            assert others is not None
            if others["inputs"] >= MAX_INPUTS:
                raise InputsFullError(f"{MAX_INPUTS} inputs")
            if others["bytes"] + len(new.content) > MAX_INPUTS_BYTES:
                raise InputsFullError(f"{MAX_INPUTS_BYTES} bytes of inputs")
            await connection.execute(self.WRITE, *values, timeout=CONTENT_TIMEOUT_S)

    READERS = """
        SELECT jsonb_path_query_array(
            plan_dag, '$.nodes[*] ? (@.config.source == $name).id', jsonb_build_object('name', $2::text)
        ) FROM projects WHERE id = $1
    """
    DELETE = "DELETE FROM project_inputs WHERE project_id = $1 AND name = $2 RETURNING name"

    async def delete(self, caller: Caller, project_id: UUID, name: str) -> None:
        """Delete an input. Raises NotFoundError, InputInUseError while the plan names it."""
        async with self._database.request(caller) as connection:
            if await connection.fetchval(self.DELETE, project_id, name) is None:
                raise NotFoundError("input", name)
            readers = await connection.fetchval(self.READERS, project_id, name)
            if readers:
                raise InputInUseError(name, tuple(readers))
