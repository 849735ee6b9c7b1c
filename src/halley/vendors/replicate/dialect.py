"""The client-facing format: its routes, and which function answers what."""

from halley.vendors.contract import Action, Dialect, Route, WebhookEvent
from halley.vendors.replicate import lookups, types
from halley.vendors.replicate.problems import render_fault, render_missing
from halley.vendors.replicate.reading import DIALECT_NAME, read_order
from halley.vendors.replicate.rendering import (
    PREFIX,
    render_accepted,
    render_event,
    render_file,
    render_page,
    render_task,
)
from halley.vendors.replicate.signature import signed_headers

_EXAMPLE_INPUT = {"prompt": "a red teapot", "aspect_ratio": "1:1"}
_EXAMPLE_MODEL = "black-forest-labs/flux-schnell"

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=f"{PREFIX}/models/{{owner}}/{{name}}/predictions",
        action=Action.SUBMIT,
        summary="Order a prediction of a model",
        request=types.PredictionRequest,
        reply=types.Prediction,
        status=201,
        example={"input": _EXAMPLE_INPUT},
        example_path=f"{PREFIX}/models/{_EXAMPLE_MODEL}/predictions",
    ),
    Route(
        method="POST",
        path=f"{PREFIX}/predictions",
        action=Action.SUBMIT,
        summary="Order a prediction, the model named in the body",
        request=types.VersionPredictionRequest,
        reply=types.Prediction,
        status=201,
        example={"version": _EXAMPLE_MODEL, "input": _EXAMPLE_INPUT},
    ),
    Route(
        method="GET",
        path=f"{PREFIX}/predictions",
        action=Action.LIST,
        summary="List predictions, newest first",
        reply=types.PredictionPage,
        query={
            "cursor": "Where to go on, from `next` or `previous`",
            "created_after": "Only those created at or after this time (RFC 3339)",
            "created_before": "Only those created before this time (RFC 3339)",
        },
    ),
    Route(
        method="GET",
        path=f"{PREFIX}/predictions/{{id}}",
        action=Action.FETCH,
        summary="Fetch a prediction",
        reply=types.Prediction,
    ),
    Route(
        method="POST",
        path=f"{PREFIX}/predictions/{{id}}/cancel",
        action=Action.CANCEL,
        summary="Cancel a prediction",
        reply=types.Prediction,
    ),
    Route(
        method="GET",
        path=f"{PREFIX}/models",
        action=Action.LOOKUP,
        summary="List models",
        reply=types.ModelPage,
        lookup=lookups.list_models,
    ),
    Route(
        method="GET",
        path=f"{PREFIX}/models/{{owner}}/{{name}}",
        action=Action.LOOKUP,
        summary="Look up a model",
        reply=types.Model,
        example_path=f"{PREFIX}/models/{_EXAMPLE_MODEL}",
        lookup=lookups.get_model,
    ),
    Route(
        method="GET",
        path=f"{PREFIX}/models/{{owner}}/{{name}}/versions",
        action=Action.LOOKUP,
        summary="List the versions of a model",
        reply=types.VersionPage,
        example_path=f"{PREFIX}/models/{_EXAMPLE_MODEL}/versions",
        lookup=lookups.list_versions,
    ),
    Route(
        method="GET",
        path=f"{PREFIX}/models/{{owner}}/{{name}}/versions/{{version_id}}",
        action=Action.LOOKUP,
        summary="Look up a version of a model",
        reply=types.Version,
        lookup=lookups.get_version,
    ),
    Route(
        method="GET",
        path=f"{PREFIX}/account",
        action=Action.LOOKUP,
        summary="Look up the account",
        reply=types.Account,
        lookup=lookups.get_account,
    ),
    Route(
        method="POST",
        path=f"{PREFIX}/files",
        action=Action.FILE_CREATE,
        summary="Upload a file (multipart: `content`, and `metadata` as JSON)",
        reply=types.File,
        status=201,
    ),
    Route(
        method="GET",
        path=f"{PREFIX}/files",
        action=Action.FILE_LIST,
        summary="List uploaded files, newest first",
        reply=types.FilePage,
        query={"cursor": "Where to go on, from `next` or `previous`"},
    ),
    Route(
        method="GET",
        path=f"{PREFIX}/files/{{id}}",
        action=Action.FILE_FETCH,
        summary="Look up an uploaded file",
        reply=types.File,
    ),
    Route(
        method="DELETE",
        path=f"{PREFIX}/files/{{id}}",
        action=Action.FILE_DELETE,
        summary="Delete an uploaded file",
        status=204,
    ),
    Route(
        method="GET",
        path=f"{PREFIX}/files/{{id}}/download",
        action=Action.FILE_DOWNLOAD,
        summary="Download an uploaded file",
        query={
            "owner": "Whose file it is, from a signed link",
            "expiry": "When the link ends, in Unix seconds",
            "signature": "The link's signature",
        },
    ),
    Route(
        method="GET",
        path=f"{PREFIX}/webhooks/default/secret",
        action=Action.WEBHOOK_SECRET,
        summary="The secret that signs this project's webhooks in the key's mode",
        reply=types.WebhookSecret,
    ),
)

DIALECT = Dialect(
    name=DIALECT_NAME,
    title="Replicate",
    docs="https://replicate.com/docs/reference/http",
    routes=ROUTES,
    read_order=read_order,
    render_accepted=render_accepted,
    render_task=render_task,
    render_missing=render_missing,
    render_page=render_page,
    render_file=render_file,
    render_fault=render_fault,
    shows_input=True,
    cancel_refused_shows_task=True,
    default_events=(WebhookEvent.START, WebhookEvent.OUTPUT, WebhookEvent.LOGS, WebhookEvent.COMPLETED),
    render_event=render_event,
    sign_event=signed_headers,
    project_secret=True,
)
