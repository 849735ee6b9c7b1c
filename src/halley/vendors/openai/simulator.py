"""The vendor's API as a simulator on the host: chat, responses, completions, embeddings, images, audio, realtime.

It serves the vendors that conform to this one too: outside `openai` itself, fields that are not known are let pass.
"""

from halley.vendors.openai import (
    simulated_audio,
    simulated_chat,
    simulated_completions,
    simulated_images,
    simulated_pictures,
    simulated_responses,
    simulated_vectors,
)
from halley.vendors.openai.simulated_errors import problem
from halley.vendors.openai.simulated_pictures import Pictures
from halley.vendors.openai.simulated_realtime import with_realtime
from halley.vendors.simulate import AsgiApp, PrefixCache, Reply, SimulatorHost


def create_app(host: SimulatorHost) -> AsgiApp:
    """Build the simulator on its host."""

    def error(status: int, detail: str) -> Reply:
        kind = "server_error" if status >= 500 else "invalid_request_error"  # noqa: PLR2004 - the statuses' own border
        return problem(status, detail, kind=kind, headers=(("x-request-id", f"req_{host.base32_id()}"),))

    router = host.router(error=error)
    pictures, cache = Pictures(host), PrefixCache()
    simulated_chat.add_routes(router, host, pictures, cache)
    simulated_responses.add_routes(router, host, cache)
    simulated_completions.add_routes(router, host)
    simulated_vectors.add_routes(router, host)
    simulated_images.add_routes(router, host, pictures)
    simulated_pictures.add_routes(router, pictures)
    simulated_audio.add_routes(router, host)
    return with_realtime(router, host)
