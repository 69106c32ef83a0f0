"""The HTTP application: every route, on the parts that do the work."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, HTTPException, Request

from auth.policy import Principal
from collab.doorkeeper import Visitor
from server.door import Authenticator, UnauthenticatedError, bearer
from server.http import bin as binned
from server.http import (
    copying,
    description,
    exporting,
    graphs,
    health,
    history,
    importing,
    problems,
    projects,
    quarantine,
    tables,
)
from server.metrics import Metrics
from server.origin import ForeignRequestError
from server.page import OpenRequestsOnly, SecurityHeaders, static_page
from server.services import Services
from server.settings import Settings


def build_http(settings: Settings, services: Services, authenticate: Authenticator) -> FastAPI:
    """Return the HTTP application of `services`."""
    app = FastAPI(title="Layercake", version="0.1.0", docs_url=None, redoc_url=None)
    app.state.authenticate = _http_authentication(authenticate)
    problems.install(app)
    age_s = services.node.log.oldest_uncommitted_age_s
    metrics = Metrics(services.edge, services.node.hub, services.node.log, services.maintenance, services.rights)
    app.include_router(health.router(services.database.ping, age_s, settings.log_behind_s, metrics.text))
    app.include_router(projects.router(services.catalogue))
    catalogue, whole, workers = services.catalogue, services.node.whole, services.node.workers
    app.include_router(graphs.router(catalogue, whole, services.renaming, workers))
    app.include_router(exporting.router(catalogue, whole, workers))
    app.include_router(importing.router(catalogue, whole, workers, services.node.edits))
    app.include_router(tables.router(services.catalogue, services.tables))
    app.include_router(copying.router(services.copies))
    app.include_router(binned.router(services.bin))
    app.include_router(history.router(services.history))
    app.include_router(quarantine.router(services.quarantine))
    description.serve_description(app)
    app.mount("/", static_page())
    if settings.open:
        app.add_middleware(OpenRequestsOnly)
    app.add_middleware(SecurityHeaders)
    return app


def _http_authentication(authenticate: Authenticator) -> Callable[[Request], Awaitable[Principal]]:
    async def authenticated(request: Request) -> Principal:
        headers = request.headers
        address = request.client.host if request.client else ""
        visitor = Visitor(headers.get("host"), headers.get("origin"), address, user_agent=headers.get("user-agent"))
        try:
            return await authenticate(visitor, bearer(headers.get("authorization")))
        except UnauthenticatedError as error:
            raise HTTPException(401, str(error), {"WWW-Authenticate": "Bearer"}) from None
        except ForeignRequestError as error:
            raise HTTPException(403, str(error)) from None

    return authenticated
