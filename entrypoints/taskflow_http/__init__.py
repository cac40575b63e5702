"""TaskFlow over HTTP: an ASGI application over the use cases, and its OpenAPI document."""

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
