"""The vendor's reply schemas in short, written by hand from its specification of 2026-05: required fields and types."""

from typing import Any

_NUMBER = {"type": ["number", "null"]}
_FIGURES = {"cost": _NUMBER, "input_mp": _NUMBER, "output_mp": _NUMBER}
_STATUSES = ["Task not found", "Pending", "Request Moderated", "Content Moderated", "Ready", "Error"]

ACCEPTED: dict[str, Any] = {
    "type": "object",
    "required": ["id", "polling_url"],
    "properties": {"id": {"type": "string"}, "polling_url": {"type": "string"}, **_FIGURES},
}
ACCEPTED_WITH_WEBHOOK: dict[str, Any] = {
    "type": "object",
    "required": ["id", "status", "webhook_url"],
    "properties": {
        "id": {"type": "string"},
        "status": {"type": "string"},
        "webhook_url": {"type": "string"},
        **_FIGURES,
    },
    "not": {"required": ["polling_url"]},
}
RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["id", "status"],
    "properties": {
        "id": {"type": "string"},
        "status": {"enum": _STATUSES},
        "progress": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "details": {"type": ["object", "null"]},
        "preview": {"type": ["object", "null"]},
        "cost": _NUMBER,
    },
}
READY: dict[str, Any] = {
    "type": "object",
    "required": ["sample", "prompt", "seed", "start_time", "end_time", "duration"],
    "properties": {
        "sample": {"type": "string", "format": "uri"},
        "prompt": {"type": "string"},
        "seed": {"type": "integer"},
        "start_time": {"type": "number"},
        "end_time": {"type": "number"},
        "duration": {"type": "number"},
    },
}
INVALID: dict[str, Any] = {
    "type": "object",
    "required": ["detail"],
    "properties": {
        "detail": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["loc", "msg", "type"],
                "properties": {
                    "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                    "msg": {"type": "string"},
                    "type": {"type": "string"},
                },
            },
        }
    },
}
