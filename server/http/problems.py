"""Every error leaves as a problem: RFC 9457 JSON with a code for machines and a sentence for people."""

import errno
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from auth.errors import (
    ExternalAccountError,
    ForbiddenError,
    OpenServerError,
    PasswordsBusyError,
    SignedInOnlyError,
    ThrottledError,
    TooManyTokensError,
    UnknownPersonError,
    WrongPasswordError,
)
from collab.hub import MemoryFullError
from persistence.errors import (
    BrokenDocumentError,
    ConflictError,
    GraphServedElsewhereError,
    InputInUseError,
    InputsFullError,
    InvalidValueError,
    LastAdminError,
    NotFoundError,
    RowRefusedError,
    StoreUnavailableError,
)
from replay.errors import CaptureBehindError, NoBaseError, RebuildTimeoutError, TooManyRebuildsError
from replay.executions import ExecutionRunningError, ExecutionsBusyError
from replay.plan import PlanErrors
from replay.plan_edits import PlanChangedError
from replay.plan_reading import NotJsonError
from replay.posted import InapplicableError, OperationErrors
from replay.schedule import UnknownTargetsError
from server.cookies import CrossSiteError
from server.jwks import KeysUnavailableError
from server.workers import WorkerLostError
from workspace.export_tables import ExportError
from workspace.issues import TableErrors

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
"""What a client is told to wait when the store is away or an import is under way."""

_CODES = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    422: "invalid_request",
    429: "too_many_requests",
    503: "unavailable",
}
"""Codes of errors that only have a status; the phrases of the standard library change between versions."""

_RETRY = {"Retry-After": str(RETRY_AFTER_S)}

_log = structlog.get_logger("layercake.http")


MAX_OPERATION_ERRORS = 100
"""How many things that are wrong with posted operations are told one by one."""


class FieldError(BaseModel):
    """One thing wrong: in a request by `field`, in a table by `file`, `line` and `column`.

    The sheet of a spreadsheet is part of `file` (`book.xlsx/nodes`); `column` is a JSON Pointer in a JSON document.
    """

    message: str
    field: str | None = None
    file: str | None = None
    line: int | None = None
    column: str | None = None
    code: str | None = None
    node_id: str | None = None
    edge_id: str | None = None


class Problem(BaseModel):
    """What went wrong. `code` is stable; `detail` says what to do next."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:layercake:problem:not_found",
                "title": "Not Found",
                "status": 404,
                "detail": "there is no graph 018f3c5e-7b1a-7c3d-9e2f-5a6b7c8d9e0f",
                "code": "not_found",
            }
        }
    )

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] | None = None
    error_count: int | None = None
    reason: str | None = None
    index: int | None = None
    fields: dict[str, Any] | None = None


def describe(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the API description says of the errors with these statuses."""
    return {status: {"model": Problem, "description": HTTPStatus(status).phrase} for status in statuses}


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **more: object) -> Response:
    """Make the response for an error. `more` are further members, such as `errors`."""
    body = {
        "type": f"urn:layercake:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **more,
    }
    return Response(orjson.dumps(body), status, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem; nothing of a traceback leaves the server."""
    for error, answer in _ANSWERS.items():
        app.add_exception_handler(error, _handler(answer))
    original = app.openapi
    # The documented way to extend the description.
    app.openapi = lambda: _corrected(original())  # type: ignore[method-assign]


def _corrected(description: dict[str, Any]) -> dict[str, Any]:
    """Say that problems have their own media type, and forget the validation errors that never leave. Idempotent."""
    operations = [operation for path in description["paths"].values() for operation in path.values()]
    for responses in (operation["responses"] for operation in operations):
        for status, response in list(responses.items()):
            schema = response.get("content", {}).get("application/json", {}).get("schema", {})
            if schema.get("$ref", "").endswith("/Problem"):
                response["content"] = {MEDIA_TYPE: {"schema": schema}}
            elif schema.get("$ref", "").endswith("/HTTPValidationError"):
                del responses[status]
    return description


def _handler(answer: Callable[[Any], Response]) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        request.state.error = error
        return answer(error)

    return handle


def _saying(status: int, code: str) -> Callable[[Exception], Response]:
    """Return what answers so with the sentence of the error."""
    return lambda error: problem(status, code, str(error))


def _unknown_person(error: UnknownPersonError) -> Response:
    return problem(401, "unauthenticated", str(error), {"WWW-Authenticate": "Bearer"})


def _throttled(error: ThrottledError) -> Response:
    return problem(429, "too_many_requests", str(error), _retry_after(error.retry_after_s))


def _passwords_busy(error: PasswordsBusyError) -> Response:
    return problem(503, "busy", str(error), _retry_after(error.retry_after_s))


def _retry_after(wait_s: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(round(wait_s, 3))))}


def _row_refused(error: RowRefusedError) -> Response:
    _log.warning("rights ended between the door and the store", reason=str(error))
    return problem(403, "forbidden", "your rights do not allow this any more")


def _conflict(error: ConflictError) -> Response:
    if error.constraint == "uq_users_username":
        return problem(409, "username_taken", str(error))
    return problem(409, "conflict", f"this is taken already ({error.constraint}); choose another one")


def _invalid_value(error: InvalidValueError) -> Response:
    return problem(422, "invalid_value", f"{error}; choose another one")


def _tables(error: TableErrors) -> Response:
    detail = f"the files have {error.count} error(s), so nothing was imported; mend them and try again"
    errors = [asdict(issue) for issue in error.issues]
    return problem(422, "invalid_tables", detail, errors=errors, error_count=error.count)


def _operations(error: OperationErrors) -> Response:
    found = error.problems
    errors = [{"field": one.path, "message": one.message} for one in found[:MAX_OPERATION_ERRORS]]
    detail = f"nothing was done; {found[0].path}: {found[0].message}"
    return problem(422, "invalid_operation", detail, errors=errors, error_count=len(found))


def _inapplicable(error: InapplicableError) -> Response:
    """Tell which operation cannot be made, why, and of a conflict what is there."""
    detail = f"nothing was done: {error.message}"
    return problem(409, "inapplicable", detail, reason=error.reason, index=error.index, fields=error.fields)


def _plan(error: PlanErrors) -> Response:
    detail = f"the plan has {error.count} problem(s); mend them and try again"
    errors = [asdict(found) for found in error.problems]
    return problem(422, "invalid_plan", detail, errors=errors, error_count=error.count)


def _busy(error: TooManyRebuildsError | ExecutionsBusyError) -> Response:
    return problem(503, "busy", str(error), _RETRY)


def _export(error: ExportError) -> Response:
    return problem(422, "not_exportable", str(error))


def _unavailable(error: StoreUnavailableError) -> Response:
    _log.warning("store unavailable", reason=error.reason)
    return problem(503, "store_unavailable", "the database does not answer; try again", _RETRY)


def _served_elsewhere(error: GraphServedElsewhereError) -> Response:
    return problem(503, "served_elsewhere", str(error), _RETRY)


def _keys_unavailable(error: KeysUnavailableError) -> Response:
    return problem(503, "keys_unavailable", str(error), _RETRY)


def _capture_behind(error: CaptureBehindError) -> Response:
    _log.error("the edits of a graph are not captured", graph=str(error.graph_id), reason=error.reason)
    return problem(503, "capture_behind", str(error), _RETRY)


def _rebuild_timeout(error: RebuildTimeoutError) -> Response:
    return problem(503, "rebuild_timeout", str(error), _RETRY)


def _broken_document(error: BrokenDocumentError) -> Response:
    _log.error("a graph cannot be loaded", graph=str(error.graph_id), reason=error.reason)
    return problem(503, "broken_document", str(error), _RETRY)


def _worker_lost(error: WorkerLostError) -> Response:
    return problem(503, "worker_lost", str(error), _RETRY)


def _system(error: OSError) -> Response:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return _unexpected(error)
    _log.error("no space for temporary files", error=str(error))
    return problem(503, "disk_full", "the server has no space left for temporary files; try again later", _RETRY)


def _memory_full(error: MemoryFullError) -> Response:
    return problem(503, "memory_full", str(error), _RETRY)


def _invalid_request(error: RequestValidationError) -> Response:
    found = error.errors()
    if any(one["loc"][0] == "path" for one in found):
        return problem(404, "not_found", "there is nothing at this address; an id or a name in it cannot be one")
    if any(one["type"] == "json_invalid" for one in found):
        return problem(400, "malformed_json", "the body is not JSON; send what the API description asks for")
    errors = [{"field": ".".join(map(str, one["loc"][1:])) or "body", "message": one["msg"]} for one in found]
    detail = f"{errors[0]['field']}: {errors[0]['message']}"
    return problem(422, "invalid_request", detail, errors=errors, error_count=len(errors))


def _broken_off(_: ClientDisconnect) -> Response:
    return problem(400, "bad_request", "the body broke off; send it again")  # to nobody: the client is gone


def _http(error: HTTPException) -> Response:
    code = _CODES.get(error.status_code, f"http_{error.status_code}")
    return problem(error.status_code, code, error.detail, error.headers)


def _unexpected(error: Exception) -> Response:
    _log.error("request failed", exc_info=error)
    return problem(500, "internal_error", "the server failed at this; its log says why")


_ANSWERS: Mapping[type[Exception], Callable[[Any], Response]] = {
    NotFoundError: _saying(404, "not_found"),
    ForbiddenError: _saying(403, "forbidden"),
    SignedInOnlyError: _saying(403, "signed_in_only"),
    OpenServerError: _saying(403, "open_server"),
    ExternalAccountError: _saying(409, "external_account"),
    WrongPasswordError: _saying(403, "wrong_password"),
    CrossSiteError: _saying(403, "cross_site"),
    UnknownPersonError: _unknown_person,
    TooManyTokensError: _saying(409, "too_many_tokens"),
    ThrottledError: _throttled,
    PasswordsBusyError: _passwords_busy,
    RowRefusedError: _row_refused,
    ConflictError: _conflict,
    LastAdminError: _saying(409, "last_admin"),
    InvalidValueError: _invalid_value,
    TableErrors: _tables,
    OperationErrors: _operations,
    InapplicableError: _inapplicable,
    NoBaseError: _saying(409, "no_base"),
    CaptureBehindError: _capture_behind,
    RebuildTimeoutError: _rebuild_timeout,
    TooManyRebuildsError: _busy,
    PlanErrors: _plan,
    NotJsonError: _saying(400, "malformed_json"),
    PlanChangedError: _saying(412, "plan_changed"),
    InputInUseError: _saying(409, "input_in_use"),
    InputsFullError: _saying(409, "inputs_full"),
    UnknownTargetsError: _saying(422, "unknown_targets"),
    ExecutionRunningError: _saying(409, "execution_running"),
    ExecutionsBusyError: _busy,
    ExportError: _export,
    GraphServedElsewhereError: _served_elsewhere,
    BrokenDocumentError: _broken_document,
    KeysUnavailableError: _keys_unavailable,
    MemoryFullError: _memory_full,
    WorkerLostError: _worker_lost,
    OSError: _system,
    StoreUnavailableError: _unavailable,
    RequestValidationError: _invalid_request,
    ClientDisconnect: _broken_off,
    HTTPException: _http,
    Exception: _unexpected,
}
