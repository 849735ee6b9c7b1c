"""Simulated vendors: real HTTP servers that behave as a vendor's documents say, with endings that a test can order.

A vendor writes `simulator.py` with `create_app(host)`; this package gives it the host, the server and the tools.
"""

from halley.vendors.simulate.asgi import (
    AsgiApp,
    BodyTooLarge,
    ClientLeft,
    Headers,
    LinkState,
    Receive,
    Refusal,
    Reply,
    Request,
    Router,
    Scope,
    Send,
    apply_transport_ending,
    close_connection,
    json_reply,
    send_reply,
    until_client_leaves,
)
from halley.vendors.simulate.directive import (
    ANSWER_ONLY,
    TASK_ONLY,
    Directive,
    Outcome,
    directive_for,
    find_in_prompt,
    parse_header,
    without_marker,
)
from halley.vendors.simulate.draw import ImageSpec, aspect_to_size, draw
from halley.vendors.simulate.embedding import embed
from halley.vendors.simulate.host import (
    CallbackRequest,
    CreateApp,
    OpenOutside,
    Outside,
    OutsideError,
    SimulatorHost,
    SimulatorSettings,
)
from halley.vendors.simulate.images import BadImage, ImageInfo, decode_image, read_source, thumbnail
from halley.vendors.simulate.job import NEVER_US, Due, Job, Phase, Upload, phase, progress, started_us
from halley.vendors.simulate.journal import Journal
from halley.vendors.simulate.outside import outside_of
from halley.vendors.simulate.plan import Ask, Plan, PlannedCall, ToolSpec, plan_chat
from halley.vendors.simulate.prefix_cache import PrefixCache
from halley.vendors.simulate.schema import conforming
from halley.vendors.simulate.server import SimulatorServer, run_forever
from halley.vendors.simulate.stream import first_byte_delay_s, send_stream, send_whole
from halley.vendors.simulate.text import count, pieces, portions, reasoning_text, refusal_text, reply_text

__all__ = [
    "ANSWER_ONLY",
    "NEVER_US",
    "TASK_ONLY",
    "AsgiApp",
    "Ask",
    "BadImage",
    "BodyTooLarge",
    "CallbackRequest",
    "ClientLeft",
    "CreateApp",
    "Directive",
    "Due",
    "Headers",
    "ImageInfo",
    "ImageSpec",
    "Job",
    "Journal",
    "LinkState",
    "OpenOutside",
    "Outcome",
    "Outside",
    "OutsideError",
    "Phase",
    "Plan",
    "PlannedCall",
    "PrefixCache",
    "Receive",
    "Refusal",
    "Reply",
    "Request",
    "Router",
    "Scope",
    "Send",
    "SimulatorHost",
    "SimulatorServer",
    "SimulatorSettings",
    "ToolSpec",
    "Upload",
    "apply_transport_ending",
    "aspect_to_size",
    "close_connection",
    "conforming",
    "count",
    "decode_image",
    "directive_for",
    "draw",
    "embed",
    "find_in_prompt",
    "first_byte_delay_s",
    "json_reply",
    "outside_of",
    "parse_header",
    "phase",
    "pieces",
    "plan_chat",
    "portions",
    "progress",
    "read_source",
    "reasoning_text",
    "refusal_text",
    "reply_text",
    "run_forever",
    "send_reply",
    "send_stream",
    "send_whole",
    "started_us",
    "thumbnail",
    "until_client_leaves",
    "without_marker",
]
