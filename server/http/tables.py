"""Routes of the rows of a graph: `/api/graphs/{id}/nodes`, `/edges` and `/layers`, straight from the tables."""

from base64 import b64decode, urlsafe_b64encode
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from auth.policy import Action, Principal
from persistence.document import Edge, Layer, Node
from persistence.tables import (
    BEHIND_COUNTED,
    EDGE_TABLE,
    LAYER_TABLE,
    NODE_TABLE,
    GraphTable,
    GraphTables,
    Place,
    TableQuery,
)
from server.http.problems import describe
from server.http.requests import BoundedRoute, Caller
from workspace.catalogue import Catalogue

Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
Weight = Annotated[float, Field(allow_inf_nan=False)]
_Label = Annotated[Text | None, Field(description="A piece of the label or name, in any case.")]
_Layer = Annotated[Text | None, Field(description="The layer's id; empty for those without one.")]


class PageParameters(BaseModel):
    """What every table is asked with; a parameter that is not known is refused."""

    model_config = ConfigDict(extra="forbid")

    sort: str
    limit: int = Field(100, ge=1, le=1_000, description="How many rows at most.")
    cursor: str | None = Field(None, description="`next_cursor` of the page before, with the same filters and sort.")
    id: Text | None = None
    q: _Label = None

    def as_query(self) -> TableQuery:
        """Return the same for the store. Raises RequestValidationError for a cursor of no page with this sort."""
        after = None if self.cursor is None else _place(self.cursor, self.sort)
        return TableQuery(self.sort, self.limit, self.model_dump(exclude={"sort", "limit", "cursor"}), after)


class NodeParameters(PageParameters):
    """Which nodes, in which order."""

    sort: Literal[
        "id", "-id", "label", "-label", "layer", "-layer", "belongs_to", "-belongs_to", "weight", "-weight"
    ] = "id"
    lineage_id: UUID | None = None
    layer: _Layer = None
    belongs_to: Text | None = Field(None, description="Id of the containing node; empty for those without one.")
    is_partition: bool | None = None
    min_weight: Weight | None = None
    max_weight: Weight | None = None


class EdgeParameters(PageParameters):
    """Which edges, in which order."""

    # fmt: off
    sort: Literal[
        "id", "-id", "label", "-label", "layer", "-layer",
        "source", "-source", "target", "-target", "weight", "-weight",
    ] = "id"
    # fmt: on
    lineage_id: UUID | None = None
    layer: _Layer = None
    source: Text | None = None
    target: Text | None = None
    min_weight: Weight | None = None
    max_weight: Weight | None = None


class LayerParameters(PageParameters):
    """Which layers, in which order."""

    sort: Literal["id", "-id", "name", "-name"] = "id"


class PageBody(BaseModel):
    """How current a page is, and how to ask for the next."""

    next_cursor: str | None = Field(description="Null on the last page.")
    through: int = Field(description="The highest operation that is in the tables; the rows are no older.")
    behind: int = Field(description=f"Operations that are not in the tables yet; counted up to {BEHIND_COUNTED}.")


class NodePage(PageBody):
    """Nodes in the order asked for; those that tie are in the order of their ids."""

    items: list[Node]


class EdgePage(PageBody):
    """Edges in the order asked for; those that tie are in the order of their ids."""

    items: list[Edge]


class LayerPage(PageBody):
    """Layers in the order asked for; those that tie are in the order of their ids."""

    items: list[Layer]


def router(catalogue: Catalogue, tables: GraphTables) -> APIRouter:
    """Return the routes of rows."""
    routes = _TableRoutes(catalogue, tables)
    api = APIRouter(
        prefix="/api/graphs/{graph_id}",
        tags=["tables"],
        route_class=BoundedRoute,
        responses=describe(401, 404, 422, 503),
    )
    api.add_api_route("/nodes", routes.nodes, response_model=NodePage, summary="Find nodes in the tables")
    api.add_api_route("/edges", routes.edges, response_model=EdgePage, summary="Find edges in the tables")
    api.add_api_route("/layers", routes.layers, response_model=LayerPage, summary="Find layers in the tables")
    return api


class _TableRoutes:
    def __init__(self, catalogue: Catalogue, tables: GraphTables) -> None:
        self._catalogue = catalogue
        self._tables = tables

    async def nodes(self, graph_id: UUID, caller: Caller, wanted: Annotated[NodeParameters, Query()]) -> Response:
        return await self._page(graph_id, caller, NODE_TABLE, wanted)

    async def edges(self, graph_id: UUID, caller: Caller, wanted: Annotated[EdgeParameters, Query()]) -> Response:
        return await self._page(graph_id, caller, EDGE_TABLE, wanted)

    async def layers(self, graph_id: UUID, caller: Caller, wanted: Annotated[LayerParameters, Query()]) -> Response:
        return await self._page(graph_id, caller, LAYER_TABLE, wanted)

    async def _page(
        self, graph_id: UUID, caller: Principal, table: GraphTable[Any], wanted: PageParameters
    ) -> Response:
        query = wanted.as_query()
        await self._catalogue.authorise_graph(caller, graph_id, Action.READ)
        page = await self._tables.page(caller.caller, graph_id, table, query)
        body = {
            "items": page.items,
            "next_cursor": page.last and _cursor(query.sort, page.last),
            "through": page.through,
            "behind": page.behind,
        }
        return Response(orjson.dumps(body), media_type="application/json")


def _cursor(sort: str, last: Place) -> str:
    return urlsafe_b64encode(orjson.dumps((sort, last.value, last.id))).decode().rstrip("=")


def _place(cursor: str, sort: str) -> Place:
    adapter = _BY_WEIGHT if sort.endswith("weight") else _BY_TEXT
    try:
        data = b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        sorted_by, value, id_ = adapter.validate_json(data, strict=True)
    except ValueError:
        raise _unknown_cursor() from None
    if sorted_by != sort:
        raise _unknown_cursor()
    return Place(value, id_)


def _unknown_cursor() -> RequestValidationError:
    message = "no page with this sort gave this cursor; leave it out to start again"
    return RequestValidationError([{"type": "cursor", "loc": ("query", "cursor"), "msg": message}])


_BY_TEXT = TypeAdapter(tuple[str, Text, Text])
_BY_WEIGHT = TypeAdapter(tuple[str, Weight, Text])
