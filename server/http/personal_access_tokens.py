"""Routes of one's personal access tokens: `/api/auth/tokens`."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from auth.own_account import AskedToken, OwnAccount
from auth.policy import Action
from persistence.people_records import PersonalAccessToken, ScopeName
from server.http.problems import describe
from server.http.requests import Acting, BoundedRoute, Caller, Name

MAX_EXPIRY_DAYS = 3_650


class NewTokenBody(BaseModel):
    """A personal access token to make; without `expires_in_days` it lasts until it is revoked."""

    name: Name
    scopes: Annotated[set[ScopeName], Field(min_length=1)]
    expires_in_days: Annotated[int, Field(ge=1, le=MAX_EXPIRY_DAYS)] | None = None

    def as_asked(self) -> AskedToken:
        """Return the same for the account."""
        lifetime = None if self.expires_in_days is None else timedelta(days=self.expires_in_days)
        return AskedToken(self.name, tuple(scope.value for scope in Action if scope in self.scopes), lifetime)


class TokenBody(BaseModel):
    """A personal access token, without its secret."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    scopes: list[ScopeName]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class MadeToken(TokenBody):
    """A personal access token just made; `token` is told here and never again."""

    token: str


class TokenList(BaseModel):
    """The personal access tokens that work, oldest first."""

    items: list[TokenBody]


def router(account: OwnAccount) -> APIRouter:
    """Return the routes of one's personal access tokens."""
    routes = _TokenRoutes(account)
    api = APIRouter(
        prefix="/api/auth/tokens", tags=["accounts"], route_class=BoundedRoute, responses=describe(401, 403, 503)
    )
    api.add_api_route("", routes.of_caller, response_model=TokenList, summary="List one's personal access tokens")
    api.add_api_route(
        "",
        routes.make,
        methods=["POST"],
        status_code=201,
        response_model=MadeToken,
        summary="Make a personal access token",
        responses=describe(400, 409, 413, 422),
    )
    api.add_api_route(
        "/{token_id}",
        routes.revoke,
        methods=["DELETE"],
        status_code=204,
        summary="Revoke a personal access token",
        responses=describe(404),
    )
    return api


class _TokenRoutes:
    def __init__(self, account: OwnAccount) -> None:
        self._account = account

    async def of_caller(self, caller: Caller) -> dict[str, object]:
        return {"items": await self._account.tokens(caller)}

    async def make(self, body: NewTokenBody, actor: Acting) -> MadeToken:
        made, secret = await self._account.make_token(actor, body.as_asked())
        return _made(made, secret)

    async def revoke(self, token_id: UUID, actor: Acting) -> None:
        await self._account.revoke_token(actor, token_id)


def _made(made: PersonalAccessToken, secret: str) -> MadeToken:
    return MadeToken(**TokenBody.model_validate(made).model_dump(), token=secret)
