"""OpenAPI of the collector: `/collect`, which the framework does not see, beside what it does."""

from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import FastAPI

from anmodel.collector.answers import BatchAnswer, ProblemAnswer
from anmodel.events import Event

_JSON = "application/json"


def documented(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """The application's `openapi`, with `/collect` in it."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        types = (Event, BatchAnswer, ProblemAnswer)
        schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")[1]
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update(schemas)
        components["securitySchemes"] = _KEYS
        document["paths"]["/collect"] = {"post": _COLLECT}
        return document

    return openapi


def _answered(description: str, *schemas: str) -> dict[str, Any]:
    """An answer whose body is one of the schemas."""
    forms = [{"$ref": f"#/components/schemas/{schema}"} for schema in schemas]
    return {
        "description": description,
        "content": {_JSON: {"schema": forms[0] if len(forms) == 1 else {"anyOf": forms}}},
    }


_KEYS: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic"},
    "page": {"type": "apiKey", "in": "query", "name": "key"},
}

_EVENTS: dict[str, Any] = {
    "oneOf": [
        {"$ref": "#/components/schemas/Event"},
        {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Event"}},
    ]
}

_COLLECT: dict[str, Any] = {
    "summary": "Take one event, an array of events, or NDJSON",
    "description": "Answers after Kafka has acknowledged. A single event is answered with an empty 201; a batch with"
    " what became of each event. On 429 and 503 send the same events again, with the same event_id: they count once."
    " A key is needed where the collector has write keys.",
    "operationId": "collect",
    "security": [{}, *({name: []} for name in _KEYS)],
    "parameters": [
        {
            "name": "Content-Encoding",
            "in": "header",
            "description": "How the body is compressed; left out: not at all.",
            "schema": {"enum": ["gzip", "zstd", "identity"]},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            _JSON: {"schema": _EVENTS},
            "application/x-ndjson": {"schema": {"type": "string"}},
            "text/plain": {"schema": {"type": "string", "description": "Any of these, as a page's beacon sends it."}},
        },
    },
    "responses": {
        "201": _answered("All accepted (empty for a single event).", "BatchAnswer"),
        "207": _answered("Some accepted, some refused.", "BatchAnswer"),
        "401": _answered("No write key, or one that is not known.", "ProblemAnswer"),
        "403": _answered("The key is not for this origin, or must not stand in an address.", "ProblemAnswer"),
        "408": _answered("The body did not arrive in time.", "ProblemAnswer"),
        "413": _answered("Too large: an event, the body, or the number of events.", "ProblemAnswer"),
        "415": _answered("An encoding that is not known here.", "ProblemAnswer"),
        "422": _answered("Refused, with field and reason; of a batch, each event.", "ProblemAnswer", "BatchAnswer"),
        "429": _answered("Too many requests of this client or key; try again after Retry-After.", "ProblemAnswer"),
        "503": _answered("Kafka did not confirm; try again after Retry-After.", "ProblemAnswer", "BatchAnswer"),
    },
}
