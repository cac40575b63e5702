"""The OpenAPI document, and a page that shows it without help from the internet."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final

from taskflow_core import NotFound
from taskflow_http import schemas
from taskflow_http.errors import RouteNotFound
from taskflow_http.operations import Operation, Services
from taskflow_http.replies import JSON, Reply, encode, json_reply
from taskflow_http.security_fields import PAGE

if TYPE_CHECKING:
    from taskflow_http.calls import Call

_PAGE: Final = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>TaskFlow</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="api/static/swagger_style.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="api/static/swagger_bundle.js"></script>
<script src="api/static/swagger_preset.js"></script>
<script src="api/static/start.js"></script>
</body>
</html>
"""
_START: Final = b"""window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#swagger-ui",
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset.slice(1)],
    deepLinking: true,
    validatorUrl: null,
  });
};
"""
_ASSETS: Final = {
    "start.js": b"text/javascript; charset=utf-8",
    "swagger_bundle.js": b"text/javascript; charset=utf-8",
    "swagger_preset.js": b"text/javascript; charset=utf-8",
    "swagger_style.css": b"text/css; charset=utf-8",
}
_CACHE: Final = b"public, max-age=3600"


async def start(call: Call, _: Services) -> Reply:
    """Name the paths of the documentation."""
    paths = (call.link(path).decode() for path in ("/api", "/openapi.json"))
    return json_reply(schemas.Start(*paths))


async def openapi(call: Call, _: Services) -> Reply:
    """Give the document."""
    return Reply(200, _document(call.link("").decode() or "/"), JSON, b"no-cache")


async def show(_: Call, __: Services) -> Reply:
    """Give the page."""
    return Reply(200, _PAGE, b"text/html; charset=utf-8", b"no-cache", policy=PAGE)


async def asset(call: Call, _: Services) -> Reply:
    """Give a file that the page needs."""
    name: str = call.scope["path_params"]["file"]
    if name not in _ASSETS:
        raise RouteNotFound
    content = await asyncio.to_thread(_content, name)
    return Reply(200, memoryview(content), _ASSETS[name], _CACHE)


# A host's path may have parameters, which clients choose.
@functools.lru_cache(maxsize=8)
def _document(server: str) -> bytes:
    before, after = _around_server()
    return before + encode(server) + after


@functools.cache
def _around_server() -> tuple[bytes, bytes]:
    """Return what stands before and after the server's URL: to make it all takes 30 ms."""
    # The document is made of the table that this module is a part of.
    from taskflow_http.openapi.document import openapi_json  # noqa: PLC0415

    mark = "/where/this/is/mounted"
    before, _, after = openapi_json(mark).partition(encode(mark))
    return before, after


@functools.cache
def _content(name: str) -> bytes:
    return _START if name == "start.js" else (_asset_folder() / name).read_bytes()


@functools.cache
def _asset_folder() -> Path:
    # Importing the package would put nine megabytes of pages into memory.
    spec = importlib.util.find_spec("offapi")
    if spec is None or spec.origin is None:
        raise RouteNotFound("The assets of this page are not installed.")
    return Path(spec.origin).parent


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/",
        name="start",
        tag="documentation",
        summary="Get the paths of the documentation",
        description="Needs no token.",
        handler=start,
        secured=False,
        answer=schemas.Start,
    ),
    Operation(
        method="GET",
        path="/openapi.json",
        name="openapi",
        tag="documentation",
        summary="Get this document",
        description="The OpenAPI 3.1 document of this API, to generate clients from.",
        handler=openapi,
        secured=False,
        media_type="application/json",
    ),
    Operation(
        method="GET",
        path="/api",
        name="api",
        tag="documentation",
        summary="Show this document as a page",
        description="Swagger UI, served without help from the internet.",
        handler=show,
        secured=False,
        media_type="text/html",
    ),
    Operation(
        method="GET",
        path="/api/static/{file}",
        name="asset",
        tag="documentation",
        summary="Get a file of the page",
        description="A script or style sheet of the page.",
        handler=asset,
        secured=False,
        media_type="text/*",
        errors=(NotFound,),
    ),
)
