"""Whether the server lives, whether it can do its work, and what it counts."""

from collections.abc import Awaitable, Callable
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from persistence.errors import StoreUnavailableError
from server.http.problems import describe, problem


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """The database answers and edits are committed in time."""

    status: Literal["ready"] = "ready"
    oldest_unsaved_edit_age_s: float


def router(
    ping: Callable[[], Awaitable[None]],
    oldest_unsaved_age_s: Callable[[], float],
    behind_s: float,
    metrics: Callable[[], bytes],
) -> APIRouter:
    """Return `/healthz`, `/readyz` and `/metrics`."""

    async def healthz() -> Alive:
        return Alive()

    async def readyz() -> Ready | Response:
        try:
            await ping()
        except StoreUnavailableError:
            return problem(503, "store_unavailable", "the database does not answer; edits wait in memory")
        age_s = oldest_unsaved_age_s()
        if age_s > behind_s:
            return problem(503, "log_behind", f"the oldest edit has waited {age_s:.1f} s for its commit")
        return Ready(oldest_unsaved_edit_age_s=round(age_s, 3))

    async def exposition() -> Response:
        return Response(metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    api = APIRouter(tags=["operation"])
    api.add_api_route("/healthz", healthz, summary="Is the process alive?")
    api.add_api_route(
        "/readyz", readyz, response_model=Ready, summary="Can it store edits in time?", responses=describe(503)
    )
    api.add_api_route("/metrics", exposition, summary="Counters and gauges for Prometheus", response_class=Response)
    return api
