"""The API description at `/docs`, with its viewer served from here: no request leaves the machine."""

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Layercake API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/viewer/swagger-ui.css">
</head>
<body>
<div id="viewer"></div>
<script src="/docs/viewer/swagger-ui-bundle.js"></script>
<script type="module" src="/docs/start.js"></script>
</body>
</html>
"""
# The viewer refuses OpenAPI 3.1 by its number, but draws it.
_START = """const answer = await fetch("/openapi.json");
const spec = { ...(await answer.json()), openapi: "3.0.3" };
SwaggerUIBundle({ spec, dom_id: "#viewer", deepLinking: true, validatorUrl: null });
"""


def serve_description(app: FastAPI) -> None:
    """Serve the page that shows `/openapi.json`."""

    async def page() -> HTMLResponse:
        return HTMLResponse(_PAGE)

    async def start() -> Response:
        return Response(_START, media_type="text/javascript")

    app.add_api_route("/docs", page, include_in_schema=False)
    app.add_api_route("/docs/start.js", start, include_in_schema=False)
    app.mount("/docs/viewer", StaticFiles(directory=swagger_ui_path))
