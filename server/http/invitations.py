"""Routes of invitations: to groups, and those to look at one and accept it, for who has its token."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict

from auth.audit import Actor
from auth.invitations import Invitations, Newcomer
from auth.policy import OPEN, Principal, Role
from auth.sign_in import SignIn
from persistence.records import ANONYMOUS_USER_ID, RoleName
from server.cookies import check_page
from server.http.authentication import TokensBody, answer
from server.http.clients import NewPassword, client_of, visitor_of
from server.http.problems import describe
from server.http.requests import Acting, BoundedRoute, Days, Managing, PersonName, Token, Username, authenticated


class NewInvitationBody(BaseModel):
    """An invitation to make."""

    role: Role
    expires_in_days: Days = 7


class InvitationBody(BaseModel):
    """An invitation to a group that can still be accepted."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    role: RoleName
    created_at: datetime
    expires_at: datetime
    created_by: UUID


class MadeInvitationBody(InvitationBody):
    """The same with what the link has behind `/#/invitation/`, which is told only here."""

    token: str


class InvitationList(BaseModel):
    """The invitations to a group that can still be accepted, oldest first."""

    items: list[InvitationBody]


class InvitationToken(BaseModel):
    """The token of an invitation."""

    token: Token


class OpenInvitationBody(BaseModel):
    """What an invitation is for: to join a group in a role, or to choose the password of an account."""

    kind: Literal["group", "password"]
    group_name: str | None
    role: RoleName | None
    username: str | None
    expires_at: datetime


class Acceptance(InvitationToken):
    """How to accept an invitation: with a new account (username and password), or as who is signed in.

    One to choose a password takes that alone. With `browser` the tokens are set as cookies.
    """

    username: Username | None = None
    password: NewPassword | None = None
    name: PersonName | None = None
    browser: bool = False


def router(invitations: Invitations, sign_in: SignIn) -> APIRouter:
    """Return the routes of invitations."""
    routes = _InvitationRoutes(invitations, sign_in)
    api = APIRouter(tags=["invitations"], route_class=BoundedRoute, responses=describe(404, 503))
    _add_managed(api, routes)
    _add_open(api, routes)
    return api


def _add_managed(api: APIRouter, routes: "_InvitationRoutes") -> None:
    of_group, managed = "/api/groups/{group_id}/invitations", describe(401, 403)
    api.add_api_route(
        of_group,
        routes.of_group,
        response_model=InvitationList,
        summary="List the invitations to a group",
        responses=managed,
    )
    api.add_api_route(
        of_group,
        routes.invite,
        methods=["POST"],
        status_code=201,
        response_model=MadeInvitationBody,
        summary="Invite somebody to a group",
        responses=managed | describe(400, 413, 422),
    )
    api.add_api_route(
        "/api/invitations/{invitation_id}",
        routes.revoke,
        methods=["DELETE"],
        status_code=204,
        summary="Revoke an invitation to a group",
        responses=managed,
    )


def _add_open(api: APIRouter, routes: "_InvitationRoutes") -> None:
    bad_body = describe(400, 413, 422)
    api.add_api_route(
        "/api/invitations/look",
        routes.look,
        methods=["POST"],
        response_model=OpenInvitationBody,
        summary="See what an invitation is for",
        responses=bad_body,
    )
    api.add_api_route(
        "/api/invitations/accept",
        routes.accept,
        methods=["POST"],
        response_model=TokensBody,
        response_model_exclude_none=True,
        summary="Accept an invitation",
        description="Answers as a sign-in does; who joins with the account they are signed in to stays signed in.",
        responses=bad_body | describe(401, 403, 409, 429),
    )


class _InvitationRoutes:
    def __init__(self, invitations: Invitations, sign_in: SignIn) -> None:
        self._invitations = invitations
        self._sign_in = sign_in

    async def of_group(self, group_id: UUID, actor: Acting) -> dict[str, object]:
        return {"items": await self._invitations.of_group(actor, group_id)}

    async def invite(self, group_id: UUID, body: NewInvitationBody, actor: Managing) -> MadeInvitationBody:
        made, token = await self._invitations.invite(actor, group_id, body.role, body.expires_in_days)
        return MadeInvitationBody(**InvitationBody.model_validate(made).model_dump(), token=token)

    async def revoke(self, invitation_id: UUID, actor: Managing) -> None:
        await self._invitations.revoke(actor, invitation_id)

    async def look(self, body: InvitationToken) -> OpenInvitationBody:
        found = await self._invitations.look(body.token)
        return OpenInvitationBody(
            kind="group" if found.user_id is None else "password",
            group_name=found.group_name,
            role=found.role,
            username=found.username,
            expires_at=found.expires_at,
        )

    async def accept(self, body: Acceptance, request: Request, response: Response) -> TokensBody:
        if body.browser:
            check_page(visitor_of(request), request.headers)
        client = client_of(request)
        user_id = await self._accepted_by(body, Actor(_NOBODY, client))
        if user_id is None:
            principal = await authenticated(request)
            await self._invitations.accept(body.token, Actor(principal, client))
            return TokensBody(token_type="Kept")  # noqa: S106 - whoever is signed in stays so
        device = {"address": client.address, "user_agent": client.user_agent, "device": None}
        tokens = await self._sign_in.start(user_id, **device)
        return answer(tokens, request, response, in_cookies=body.browser)

    async def _accepted_by(self, body: Acceptance, nobody: Actor) -> UUID | None:
        """Make the account, or set the password, and return whose; None if it is for who is signed in."""
        found = await self._invitations.look(body.token)
        if found.user_id is not None:
            return await self._invitations.choose_password(body.token, _needed(body.password), nobody)
        if body.username is not None:
            newcomer = Newcomer(body.username, _needed(body.password), body.name)
            return await self._invitations.accept_as_new(body.token, newcomer, nobody)
        return None


_NOBODY = Principal(ANONYMOUS_USER_ID, "", "person", OPEN)


def _needed(password: str | None) -> str:
    if password is None:
        raise HTTPException(422, "password: choose one of 12 to 1,024 characters")
    return password
