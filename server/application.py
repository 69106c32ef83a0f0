"""The HTTP application: every route, on the parts that do the work."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from auth.policy import Principal
from server.cookies import check_page, is_by_cookie, is_safe
from server.door import Authenticator, UnauthenticatedError, bearer
from server.http import (
    account,
    audit,
    authentication,
    copying,
    description,
    edits,
    executions,
    exporting,
    graphs,
    groups,
    health,
    history,
    importing,
    inputs,
    invitations,
    operations,
    personal_access_tokens,
    plans,
    problems,
    projects,
    quarantine,
    replay_rules,
    replays,
    sessions,
    sharing,
    tables,
    users,
)
from server.http import bin as binned
from server.http.refusals import NoteRefusals
from server.metrics import Metrics
from server.page import SecurityHeaders, static_page
from server.request_check import RequestCheck
from server.services import Services
from server.settings import Settings

# Without credentials: a page elsewhere has a token, never our cookie.
_CROSS_ORIGIN: Mapping[str, Any] = {
    "allow_methods": ("GET", "POST", "PUT", "PATCH", "DELETE"),
    "allow_headers": ("Authorization", "Content-Type", "If-Match"),
    "expose_headers": ("Retry-After", "WWW-Authenticate", "Content-Disposition", "ETag"),
}


def build_http(settings: Settings, services: Services, authenticate: Authenticator) -> ASGIApp:
    """Return the HTTP application of `services`."""
    app = FastAPI(title="Layercake", version="0.1.0", docs_url=None, redoc_url=None)
    app.state.authenticate = _http_authentication(authenticate)
    problems.install(app)
    age_s = services.node.log.oldest_uncommitted_age_s
    metrics = Metrics(services)
    app.include_router(health.router(services.database.ping, age_s, settings.log_behind_s, metrics.text))
    app.include_router(projects.router(services.catalogue))
    catalogue, whole, workers = services.catalogue, services.node.whole, services.node.workers
    app.include_router(graphs.router(catalogue, whole, services.renaming, workers))
    app.include_router(exporting.router(catalogue, whole, workers, services.community.audit))
    app.include_router(importing.router(catalogue, whole, workers, services.node.edits))
    app.include_router(tables.router(services.catalogue, services.tables))
    app.include_router(copying.router(services.copies))
    app.include_router(binned.router(services.bin))
    app.include_router(history.router(services.history))
    app.include_router(quarantine.router(services.quarantine))
    _include_replaying(app, settings, services)
    _include_people(app, services)
    description.serve_description(app)
    app.mount("/", static_page())
    app.add_middleware(RequestCheck, visitors=services.visitors, origins=services.origins)
    if settings.allowed_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.allowed_origins, **_CROSS_ORIGIN)
    app.add_middleware(NoteRefusals, refusals=services.refusals)
    return SecurityHeaders(app, is_secure=settings.is_secure)  # around what answers when the application fails, too


def _include_replaying(app: FastAPI, settings: Settings, services: Services) -> None:
    replaying, planning = services.replaying, services.replaying.planning
    app.include_router(plans.router(planning.plans))
    app.include_router(inputs.router(services.catalogue, planning.inputs, settings.input_bytes))
    app.include_router(replays.router(replaying.replays))
    app.include_router(replay_rules.router(replaying.replays))
    app.include_router(edits.router(replaying.edits))
    app.include_router(operations.router(replaying.edits))
    app.include_router(executions.router(replaying.plan_runs.executions, replaying.plan_runs.views))


def _include_people(app: FastAPI, services: Services) -> None:
    accounts, community = services.accounts, services.community
    app.include_router(authentication.router(accounts.sign_in))
    for own in (account, sessions, personal_access_tokens):
        app.include_router(own.router(accounts.own))
    app.include_router(groups.router(community.groups))
    app.include_router(invitations.router(community.invitations, accounts.sign_in))
    app.include_router(users.router(community.people, community.invitations))
    app.include_router(sharing.router(community.sharing))
    app.include_router(audit.router(community.audit))


def _http_authentication(authenticate: Authenticator) -> Callable[[Request], Awaitable[Principal]]:
    async def authenticated(request: Request) -> Principal:
        visitor, token = request.state.visitor, bearer(request.headers.get("authorization"))
        try:
            principal = await authenticate(visitor, token)
        except UnauthenticatedError as error:
            raise HTTPException(401, str(error), {"WWW-Authenticate": "Bearer"}) from None
        request.state.principal = principal
        if is_by_cookie(principal, token) and not is_safe(request.method):
            check_page(visitor, request.headers)
        return principal

    return authenticated
