"""Where the driver's errors become ours (`persistence.errors`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import asyncpg

from persistence.errors import (
    ConflictError,
    InvalidValueError,
    RowRefusedError,
    StoreError,
    StoreUnavailableError,
)

# PostgreSQL error classes 08, 40, 53, 57, 58 and what a failover or an unlucky moment answers:
# the same call may succeed later.
_UNAVAILABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.LockNotAvailableError,
    asyncpg.InternalClientError,  # how the driver takes a connection lost within a step
)
_NAME_RULE = "a name has 1 to 200 characters, not all of them blank and none of them a control character"
_RULES = {
    "ck_projects_name": _NAME_RULE,
    "ck_graphs_name": _NAME_RULE,
    "ck_groups_name": _NAME_RULE,
    "ck_users_username": _NAME_RULE,
    "uq_users_username": "this username is taken; choose another one",
    "fk_graphs_parent_graph_id": "the graph that it should be a copy of is gone",
}
_TAKEN = (asyncpg.UniqueViolationError, asyncpg.ExclusionViolationError)


@contextmanager
def translate() -> Iterator[None]:
    """Raise what the database, the network and our timeouts raise inside as StoreError, the cause kept.

    Constraint names are carried over. A misused driver (a wrong argument, a wrong call) stays the bug it is.
    """
    try:
        yield
    except _UNAVAILABLE as error:
        raise StoreUnavailableError(_reason(error)) from error
    except asyncpg.InterfaceError as error:
        # the driver has no class for a connection or a pool that is closed
        if "closed" not in str(error) and "closing" not in str(error):
            raise
        raise StoreUnavailableError(_reason(error)) from error
    except _TAKEN as error:
        name = error.constraint_name or ""
        raise ConflictError(name, _RULES.get(name, _detail(error))) from error
    except asyncpg.IntegrityConstraintViolationError as error:
        name = error.constraint_name or error.column_name or ""
        raise InvalidValueError(name, _RULES.get(name, f"the database refuses a value ({name})")) from error
    except asyncpg.DataError as error:
        raise InvalidValueError(error.column_name or "", error.message or str(error)) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise RowRefusedError(f"row level security refused a statement: {error}") from error
    except asyncpg.PostgresError as error:
        raise StoreError(f"the database refused a statement: {error}") from error


@contextmanager
def connecting(url: str) -> Iterator[None]:
    """Raise what happens while connecting to `url` as StoreError; the sentence names the host, never the password."""
    where, database = _place(url)
    try:
        yield
    except asyncpg.InvalidCatalogNameError as error:
        raise StoreUnavailableError(
            f"there is no database {database} at {where}; create it with `createdb`, or correct the database URL"
        ) from error
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise StoreUnavailableError(
            f"{where} refuses the user name or the password; correct them in the database URL"
        ) from error
    except (asyncpg.InvalidParameterValueError, asyncpg.InsufficientPrivilegeError) as error:
        raise StoreError(
            f"{where} does not let us take a role in {database} ({error}); run `layercake migrate`"
        ) from error
    except _UNAVAILABLE as error:
        raise StoreUnavailableError(
            f"{where} gives no connection ({_reason(error)}); start PostgreSQL there, or correct the database URL"
        ) from error
    except ValueError:  # not chained: it may quote a piece of the URL with the password
        raise _invalid() from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StoreError(f"{where} refuses the connection ({error}); correct the database URL") from error


def _place(url: str) -> tuple[str, str]:
    """Return host and database of the URL for a sentence. What a URL without sense holds is not repeated."""
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        port = parts.port or query.get("port", ["5432"])[0]
    except ValueError:
        raise _invalid() from None
    if parts.scheme not in {"postgresql", "postgres"}:
        raise _invalid()
    host = parts.hostname or query.get("host", ["localhost"])[0]
    return f"{host}:{port}", parts.path.removeprefix("/") or "of the user's name"


def _invalid() -> StoreError:
    return StoreError(
        "the database URL makes no sense; write it like postgresql://user:password@host:5432/database, "
        "with other characters than letters and digits in the password percent-encoded"
    )


def _reason(error: BaseException) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__


def _detail(error: asyncpg.PostgresError) -> str:
    return error.detail or error.message or str(error)
