"""Simulated vendors: real HTTP servers that behave as a vendor's documents say, with endings that a test can order.

A vendor writes `simulator.py` with `create_app(host)`; this package gives it the host, the server and the tools.
"""

from halley.vendors.simulate.asgi import (
    AsgiApp,
    BodyTooLarge,
    ClientLeft,
    LinkState,
    Receive,
    Refusal,
    Reply,
    Request,
    Router,
    Scope,
    Send,
    apply_transport_ending,
    json_reply,
)
from halley.vendors.simulate.directive import (
    Directive,
    Outcome,
    directive_for,
    find_in_prompt,
    parse_header,
    without_marker,
)
from halley.vendors.simulate.draw import ImageSpec, aspect_to_size, draw
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
from halley.vendors.simulate.server import SimulatorServer, run_forever

__all__ = [
    "NEVER_US",
    "AsgiApp",
    "BadImage",
    "BodyTooLarge",
    "CallbackRequest",
    "ClientLeft",
    "CreateApp",
    "Directive",
    "Due",
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
    "Upload",
    "apply_transport_ending",
    "aspect_to_size",
    "decode_image",
    "directive_for",
    "draw",
    "find_in_prompt",
    "json_reply",
    "outside_of",
    "parse_header",
    "phase",
    "progress",
    "read_source",
    "run_forever",
    "started_us",
    "thumbnail",
    "without_marker",
]
