"""The OpenAPI document, wherever a host mounts the API."""

from __future__ import annotations

import pytest

from taskflow_http.openapi.document import openapi_json
from taskflow_http.routes import documentation


def test_the_document_is_made_once_for_all_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = ["/", "/taskflow", '/a"b\\c', "/tenants/7"]
    expected = [openapi_json(path) for path in paths]
    documentation._document.cache_clear()
    documentation._around_server.cache_clear()
    made: list[str] = []

    def counted(server: str) -> bytes:
        made.append(server)
        return openapi_json(server)

    monkeypatch.setattr("taskflow_http.openapi.document.openapi_json", counted)
    assert [documentation._document(path) for path in paths] == expected
    assert len(made) == 1
