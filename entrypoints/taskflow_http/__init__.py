"""TaskFlow over HTTP: an ASGI application over the use cases, and its OpenAPI document."""

import importlib
from typing import TYPE_CHECKING

from taskflow_core.extras import require_server

if TYPE_CHECKING:
    from taskflow_http.app import create_app
    from taskflow_http.limits import Addresses, Limits
    from taskflow_http.logs import configure_logging
    from taskflow_http.openapi.document import openapi_document, openapi_json
    from taskflow_http.openapi.http_file import http_file
    from taskflow_http.operations import HttpOptions
    from taskflow_http.protocol import protocol_class

__all__ = [
    "Addresses",
    "HttpOptions",
    "Limits",
    "configure_logging",
    "create_app",
    "http_file",
    "openapi_document",
    "openapi_json",
    "protocol_class",
]

require_server("msgspec", "starlette", "structlog")

_MODULES = {
    "Addresses": "limits",
    "HttpOptions": "operations",
    "Limits": "limits",
    "configure_logging": "logs",
    "create_app": "app",
    "http_file": "openapi.http_file",
    "openapi_document": "openapi.document",
    "openapi_json": "openapi.document",
    "protocol_class": "protocol",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a module when one of its names is first asked for: the CLI needs the schemas and no server."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(importlib.import_module(f"taskflow_http.{_MODULES[name]}"), name)
        return found
