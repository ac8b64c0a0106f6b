"""The description of ``/v1`` (OpenAPI 3.1), made from its operations and the models they name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from mcp_server.http.operations import Answer, Operation
from mcp_server.http.problems import MEDIA_TYPE, Problem

_REF = "#/components/schemas/{model}"
_PARAMETERS = {
    "job_id": "The handle of a job, whole.",
    "source": "A name from /v1/sources.",
    "token": "From the url of an export.",
}


def document(operations: Sequence[Operation], *, version: str, signs_in: bool) -> dict[str, Any]:
    """The whole document, JSON-ready.

    Args:
        operations: all of them.
        version: of the product.
        signs_in: whether callers need a token.
    """
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(f"/v1{operation.path}", {})[operation.method.lower()] = _described(operation, signs_in)
    components: dict[str, Any] = {"schemas": _schemas(operations)}
    if signs_in:
        components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "awaitsql",
            "version": version,
            "description": "Runs read-only SQL as jobs: submit, follow, page, export. Errors are problem details.",
        },
        "paths": paths,
        "components": components,
    }


def _schemas(operations: Sequence[Operation]) -> dict[str, Any]:
    models: dict[type[BaseModel], None] = {Problem: None}
    for operation in operations:
        if operation.body is not None:
            models[operation.body] = None
        for answer in operation.answers.values():
            models.update({model: None for model in answer.content.values() if model is not None})
    # as they are read: what is left out of an answer because it says nothing is not required
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    return dict(sorted(schemas["$defs"].items()))


def _described(operation: Operation, signs_in: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"operationId": operation.name, "summary": operation.summary}
    parameters = [*_in_path(operation), *_in_query(operation), *_in_header(operation)]
    if parameters:
        told["parameters"] = parameters
    if operation.body is not None:
        told["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(operation.body)}},
        }
    told["responses"] = {str(status): _answered(status, answer) for status, answer in operation.answers.items()}
    told["responses"]["default"] = {
        "description": "A problem.",
        "content": {MEDIA_TYPE: {"schema": _ref(Problem)}},
        "headers": {
            "Retry-After": {"description": "Seconds, where it may go away by itself.", "schema": {"type": "string"}}
        },
    }
    if signs_in:
        told["security"] = [] if operation.scope is None else [{"bearer": [operation.scope]}]
    return told


def _answered(status: int, answer: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {"description": answer.description or HTTPStatus(status).phrase}
    if answer.headers:
        told["headers"] = {
            name: {"description": words, "schema": {"type": "string"}} for name, words in answer.headers.items()
        }
    if answer.content:
        told["content"] = {
            kind: {} if model is None else {"schema": _ref(model)} for kind, model in answer.content.items()
        }
    if "Location" in answer.headers and status in {200, 202}:
        told["links"] = {
            name: {"operationId": name, "parameters": {"job_id": "$response.body#/job_id"}}
            for name in ("get_job", "get_rows", "cancel_job", "export_job")
        }
    return told


def _in_path(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PARAMETERS[name],
            "schema": {"type": "string", "minLength": 1},
        }
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]


def _in_query(operation: Operation) -> list[dict[str, Any]]:
    schema = operation.query.model_json_schema(ref_template=_REF)
    parameters: list[dict[str, Any]] = []
    for name, told in schema.get("properties", {}).items():
        kept = {key: value for key, value in told.items() if key not in {"title", "description"}}
        if "anyOf" in kept:  # null is left out of a query string
            kept = next(kind for kind in kept["anyOf"] if kind.get("type") != "null")
        parameters.append({"name": name, "in": "query", "description": told["description"], "schema": kept})
    return parameters


def _in_header(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "description": words, "schema": {"type": "string"}}
        for name, words in operation.headers.items()
    ]


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}
