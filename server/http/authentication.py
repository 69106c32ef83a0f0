"""Routes of signing in and out: `/api/auth/login`, `/refresh`, `/logout`."""

from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from auth.errors import UnknownPersonError
from auth.policy import Principal
from auth.sign_in import IssuedTokens, SignIn
from auth.tokens import MAX_CHARACTERS
from server.cookies import REFRESH_COOKIE, check_page, clear_page_cookies, set_device_cookie, set_page_cookies
from server.http.clients import AnyPassword, client_of, is_secure, visitor_of
from server.http.problems import describe
from server.http.requests import NORMAL, Authenticate, BoundedRoute, Name

AnyUsername = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$"), NORMAL
]
RefreshToken = Annotated[str, StringConstraints(max_length=MAX_CHARACTERS)]


class Login(BaseModel):
    """A name and its password. With `browser` the tokens are set as cookies; `device` is what to call the session."""

    username: AnyUsername
    password: AnyPassword
    browser: bool = False
    device: Name | None = None


class RefreshBody(BaseModel):
    """The refresh token; without one it is that of the cookie."""

    refresh_token: RefreshToken | None = None


class TokensBody(BaseModel):
    """What one goes on with: tokens in the body (Bearer, RFC 6749 section 5.1), or in cookies that came with it.

    With Kept there are none: who is signed in stays so.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "token_type": "Bearer",
                "expires_in": 600,
                "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9…",
                "refresh_token": "lcr_…",
            }
        }
    )

    token_type: Literal["Bearer", "Cookie", "Kept"]
    expires_in: int | None = None
    access_token: str | None = None
    refresh_token: str | None = None


def router(sign_in: SignIn) -> APIRouter:
    """Return the routes of signing in and out."""
    routes = _AuthenticationRoutes(sign_in)
    api = APIRouter(prefix="/api/auth", tags=["accounts"], route_class=BoundedRoute, responses=describe(403, 503))
    bad_body = describe(400, 413, 422)
    api.add_api_route(
        "/login",
        routes.login,
        methods=["POST"],
        response_model=TokensBody,
        response_model_exclude_none=True,
        summary="Sign in",
        responses=describe(401, 429) | bad_body,
    )
    api.add_api_route(
        "/refresh",
        routes.refresh,
        methods=["POST"],
        response_model=TokensBody,
        response_model_exclude_none=True,
        summary="Exchange a refresh token",
        responses=describe(401) | bad_body,
    )
    api.add_api_route(
        "/logout", routes.logout, methods=["POST"], status_code=204, summary="Sign out", responses=bad_body
    )
    return api


class _AuthenticationRoutes:
    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in

    async def login(self, body: Login, request: Request, response: Response) -> TokensBody:
        if body.browser:
            check_page(visitor_of(request), request.headers)
        tokens = await self._sign_in.sign_in(body.username, body.password, client_of(request), body.device)
        return answer(tokens, request, response, in_cookies=body.browser)

    async def refresh(self, request: Request, response: Response, body: RefreshBody | None = None) -> TokensBody:
        token, is_cookie = _refresh_token(request, body)
        if token is None:
            raise UnknownPersonError("send a refresh token, or sign in")
        tokens = await self._sign_in.refresh(token, client_of(request))
        return answer(tokens, request, response, in_cookies=is_cookie)

    async def logout(self, request: Request, response: Response, body: RefreshBody | None = None) -> None:
        token, _ = _refresh_token(request, body)
        await self._sign_in.sign_out(await _somebody(request), token, client_of(request))
        clear_page_cookies(response)


def answer(tokens: IssuedTokens, request: Request, response: Response, *, in_cookies: bool) -> TokensBody:
    """Give somebody their tokens, in the body or in cookies of `response`."""
    if tokens.device_token is not None:
        set_device_cookie(response, tokens.device_token, is_secure=is_secure(request))
    if not in_cookies:
        return TokensBody(
            token_type="Bearer",  # noqa: S106 - the name of the scheme
            expires_in=tokens.expires_in_s,
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
        )
    set_page_cookies(response, tokens, is_secure=is_secure(request))
    return TokensBody(token_type="Cookie", expires_in=tokens.expires_in_s)  # noqa: S106 - it is in cookies


def _refresh_token(request: Request, body: RefreshBody | None) -> tuple[str | None, bool]:
    """Return the refresh token, and whether it is that of the cookie, which only our page may use."""
    if body is not None and body.refresh_token is not None:
        return body.refresh_token, False
    token = request.cookies.get(REFRESH_COOKIE)
    if token is not None:
        check_page(visitor_of(request), request.headers)
    return token, token is not None


async def _somebody(request: Request) -> Principal | None:
    authenticate: Authenticate = request.app.state.authenticate
    try:
        return await authenticate(request)
    except HTTPException as error:
        if error.status_code != 401:
            raise
        return None
