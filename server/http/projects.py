"""Routes of projects: `/api/projects`."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from persistence.records import Project, Retitle, RoleName
from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller, Description, Name
from workspace.catalogue import Catalogue


class NewProject(BaseModel):
    """A project to create."""

    name: Name
    description: Description | None = None
    group_id: UUID | None = None
    """One that one may edit in; by default the first of those."""


class Changes(BaseModel):
    """What to change: a member that is absent stays as it is; a null description removes it."""

    name: Name | None = None
    description: Description | None = None

    def as_retitle(self) -> Retitle:
        """Return the same for the store."""
        return Retitle(self.name, self.description, "description" not in self.model_fields_set)


class ProjectBody(BaseModel):
    """A project, as it is answered; `role` is what one is in its group."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    group_id: UUID
    name: str
    description: str | None
    role: RoleName
    created_at: datetime
    updated_at: datetime


class ProjectList(BaseModel):
    """The projects one may read, oldest first."""

    items: list[ProjectBody]


def router(catalogue: Catalogue) -> APIRouter:
    """Return the routes of projects."""
    routes = _ProjectRoutes(catalogue)
    api = APIRouter(prefix="/api/projects", tags=["projects"], route_class=BoundedRoute, responses=describe(401, 503))
    bad_body = describe(400, 413, 422)
    one = "/{project_id}"
    api.add_api_route(
        "",
        routes.create,
        methods=["POST"],
        status_code=201,
        response_model=ProjectBody,
        summary="Create a project",
        responses=describe(403, 404) | bad_body,
    )
    api.add_api_route("", routes.of_caller, response_model=ProjectList, summary="List the projects one may read")
    api.add_api_route(one, routes.read, response_model=ProjectBody, summary="Read a project", responses=describe(404))
    api.add_api_route(
        one,
        routes.change,
        methods=["PATCH"],
        response_model=ProjectBody,
        summary="Rename or describe a project",
        responses=describe(403, 404) | bad_body,
    )
    api.add_api_route(
        one,
        routes.delete,
        methods=["DELETE"],
        status_code=204,
        summary="Put a project in the bin with its graphs",
        responses=describe(403, 404),
    )
    return api


class _ProjectRoutes:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def create(self, body: NewProject, caller: Caller) -> Project:
        return await self._catalogue.create_project(caller, body.name, body.description, body.group_id)

    async def of_caller(self, caller: Caller) -> dict[str, object]:
        return {"items": await self._catalogue.projects(caller)}

    async def read(self, project_id: UUID, caller: Caller) -> Project:
        return await self._catalogue.project(caller, project_id)

    async def change(self, project_id: UUID, body: Changes, caller: Caller) -> Project:
        return await self._catalogue.change_project(caller, project_id, body.as_retitle())

    async def delete(self, project_id: UUID, caller: Caller) -> None:
        await self._catalogue.delete_project(caller, project_id)
